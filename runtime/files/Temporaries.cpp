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
#include <mutex>
#include <sys/syscall.h>
#include <unistd.h>

namespace sinter {
namespace {

/// Each slot is null or a C string. Whoever changes slots holds `changes`; a signal's handler only reads
/// them.
std::array<std::atomic<char *>, 1024> temporaries;
std::mutex changes;

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
  const std::scoped_lock lock(changes);
  for (std::atomic<char *> &slot : temporaries)
    if (!slot.load()) {
      slot.store(copy);
      return;
    }
  ::free(copy);
}

void forgetTemporary(const std::string &path) {
  const std::scoped_lock lock(changes);
  for (std::atomic<char *> &slot : temporaries)
    if (char *known = slot.load(); known && path == known) {
      slot.store(nullptr);
      ::free(known);
      return;
    }
}

void removeTemporaries() noexcept {
  for (std::atomic<char *> &slot : temporaries)
    if (const char *path = slot.load(); path && ::unlink(path) != 0 && errno == EISDIR)
      removeFolder(path);
}

} // namespace sinter
