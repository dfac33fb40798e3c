// SPDX-License-Identifier: Apache-2.0
// A file that grows as a run goes: a record is written at once and whole.
#ifndef SINTER_RUNTIME_TRAINING_APPENDFILE_H
#define SINTER_RUNTIME_TRAINING_APPENDFILE_H

#include "runtime/Result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace sinter::training {

class AppendFile {
public:
  /// Makes the file if it is missing. Fails with its path and the reason.
  static Result<AppendFile> open(std::string path);
  AppendFile(AppendFile &&other) noexcept;
  AppendFile &operator=(AppendFile &&) = delete;
  ~AppendFile();

  Result<> append(std::string_view record);
  /// Bytes so far: what a checkpoint remembers.
  uint64_t size() const { return bytes; }
  const std::string &path() const { return filePath; }

private:
  AppendFile(std::string path, int descriptor, uint64_t bytes)
      : filePath(std::move(path)), descriptor(descriptor), bytes(bytes) {}
  std::string filePath;
  int descriptor;
  uint64_t bytes;
};

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_APPENDFILE_H
