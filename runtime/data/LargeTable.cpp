// SPDX-License-Identifier: Apache-2.0
// Anonymous memory, or a mapped file that has no name any more.
#include "runtime/data/LargeTable.h"

#include <cstdlib>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

namespace sinter::data {

LargeTable::LargeTable(size_t size, size_t memory, const std::string &folder) : bytes(size) {
  int descriptor = -1;
  if (size > memory) {
    std::string path = folder + "/table-XXXXXX";
    descriptor = ::mkstemp(path.data());
    if (descriptor >= 0)
      ::unlink(path.c_str());
    // With all its blocks: a page without one would end the process when it is written to.
    if (descriptor >= 0 && ::posix_fallocate(descriptor, 0, static_cast<off_t>(size)) != 0) {
      ::close(descriptor);
      descriptor = -1; // a full disk: memory is all that is left
    }
  }
  int flags = descriptor >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, descriptor, 0);
  if (descriptor >= 0)
    ::close(descriptor);
  if (at == MAP_FAILED)
    throw std::bad_alloc();
}

LargeTable::~LargeTable() {
  if (at)
    ::munmap(at, bytes);
}

} // namespace sinter::data
