// SPDX-License-Identifier: Apache-2.0
// Standard output as a program that is piped into others needs it, and reading a file or standard input
// whole.
#ifndef SINTER_RUNTIME_GENERATE_OUTPUT_H
#define SINTER_RUNTIME_GENERATE_OUTPUT_H

#include "runtime/Result.h"
#include <string>
#include <string_view>

namespace sinter {

/// Writes to a file descriptor at once. After a failure further writes do nothing.
class Output {
public:
  explicit Output(int descriptor) : descriptor(descriptor) {}

  /// False when the reader has gone or the write failed.
  bool write(std::string_view text);

  bool ok() const { return error == 0; }
  /// Fails when a write has failed for another reason than a reader that has gone.
  Result<void> status() const;

private:
  int descriptor;
  int error = 0;
};

/// All bytes of a file; of standard input when `path` is "-". Fails beyond 1 GiB.
Result<std::string> readWhole(const std::string &path);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_OUTPUT_H
