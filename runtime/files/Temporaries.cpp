// SPDX-License-Identifier: Apache-2.0
// The table, and what removes a folder with nothing but system calls.
#include "runtime/files/Temporaries.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sinter {
namespace {

/// Each slot is null or a C string that is freed only by whoever took it out.
std::array<std::atomic<char *>, 1024> temporaries;

/// Removes the files of a folder, and the folder. opendir() would allocate.
void removeFolder(const char *path) noexcept {
  const int folder = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0)
    return;
  alignas(dirent64) char entries[4096];
  while (true) {
    const long bytes = ::syscall(SYS_getdents64, folder, entries, sizeof entries);
    if (bytes <= 0)
      break;
    for (long at = 0; at < bytes;) {
      const auto *entry = reinterpret_cast<const dirent64 *>(entries + at);
      ::unlinkat(folder, entry->d_name, 0); // fails for `.` and `..`
      at += entry->d_reclen;
    }
  }
  ::close(folder);
  ::rmdir(path);
}

} // namespace

void rememberTemporary(const std::string &path) {
  char *copy = ::strdup(path.c_str());
  if (!copy)
    return;
  for (std::atomic<char *> &slot : temporaries) {
    char *empty = nullptr;
    if (slot.compare_exchange_strong(empty, copy))
      return;
  }
  ::free(copy);
}

void forgetTemporary(const std::string &path) {
  for (std::atomic<char *> &slot : temporaries) {
    char *known = slot.exchange(nullptr);
    if (known && path == known) {
      ::free(known);
      return;
    }
    if (known)
      slot.store(known);
  }
}

void removeTemporaries() noexcept {
  for (std::atomic<char *> &slot : temporaries)
    if (const char *path = slot.load(); path && ::unlink(path) != 0 && errno == EISDIR)
      removeFolder(path);
}

} // namespace sinter
