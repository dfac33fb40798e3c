// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/FolderLock.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace sinter::data {

FolderLock::~FolderLock() {
  if (descriptor >= 0)
    ::close(descriptor);
}

Result<> FolderLock::take(const std::string &path, const std::string &folder) {
  descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0)
    return fail("{}: {}", path, std::strerror(errno));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0)
    return fail("{}: expected no other run in this folder, found one at work", folder);
  return {};
}

} // namespace sinter::data
