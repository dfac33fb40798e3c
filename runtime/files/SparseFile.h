// SPDX-License-Identifier: Apache-2.0
// A large file that is written in pieces, in any order, by several threads.
#ifndef SINTER_RUNTIME_FILES_SPARSEFILE_H
#define SINTER_RUNTIME_FILES_SPARSEFILE_H

#include "runtime/Result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace sinter {

/// An existing file (an AtomicFile's temporaryPath(), which another program may have made) open for reading
/// and writing. Errors name `shownPath`, the path the user knows.
class SparseFile {
public:
  static Result<SparseFile> open(const std::string &path, std::string shownPath);

  SparseFile(SparseFile &&other) noexcept
      : path(std::move(other.path)), descriptor(std::exchange(other.descriptor, -1)) {}
  ~SparseFile();

  Result<uint64_t> size() const;
  /// What is added is zeros that take no room on the disk.
  Result<> resize(uint64_t size) const;

  Result<> readAt(uint64_t offset, std::span<std::byte> bytes) const;
  /// Writes all but pages of zeros, which stay holes of a file that resize() made: use it once for each
  /// place.
  Result<> writeAt(uint64_t offset, std::span<const std::byte> bytes) const;

private:
  SparseFile(std::string path, int descriptor) : path(std::move(path)), descriptor(descriptor) {}

  std::string path;
  int descriptor;
};

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_SPARSEFILE_H
