// SPDX-License-Identifier: Apache-2.0
// Memory straight from the kernel: zero until touched, aligned to large pages, given back at once.
#ifndef SINTER_RUNTIME_DEVICE_MEMORY_H
#define SINTER_RUNTIME_DEVICE_MEMORY_H

#include "runtime/Result.h"
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace sinter::device {

/// A range of address space that is unmapped when this goes away.
class Mapping {
public:
  Mapping() = default;
  Mapping(Mapping &&other) noexcept
      : base(std::exchange(other.base, nullptr)), length(std::exchange(other.length, 0)), start(other.start) {
  }
  Mapping &operator=(Mapping &&other) noexcept {
    std::swap(base, other.base);
    std::swap(length, other.length);
    std::swap(start, other.start);
    return *this;
  }
  ~Mapping();

  std::byte *data() const { return start; }

  /// `bytes` zeros, aligned to 2 MiB. With `largePages` the kernel is asked for 2 MiB pages: fast, but each
  /// touched byte then costs up to 2 MiB. `purpose` names the memory in the error.
  static Result<Mapping> anonymous(size_t bytes, bool largePages, const char *purpose);

  /// The bytes of `path` from `offset` (a multiple of 4096) on, read-only. Fails when the file is missing or
  /// shorter than `offset + bytes`.
  static Result<Mapping> file(const std::string &path, uint64_t offset, uint64_t bytes);

private:
  void *base = nullptr;
  size_t length = 0;
  std::byte *start = nullptr;
};

/// Copies `bytes` from a mapped file that is read once: the pages behind the copy leave this process's
/// memory, though they can be read again.
void copyFromFile(void *to, const void *from, size_t bytes);

/// Bytes of memory that this process may use in all: the machine's, or its control group's if that is less.
uint64_t totalMemory();

/// Bytes that can be had now without swapping, in the machine and in this process's control group.
uint64_t availableMemory();

} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_MEMORY_H
