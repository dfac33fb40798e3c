// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/AppendFile.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace sinter::training {

Result<AppendFile> AppendFile::open(std::string path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  struct stat status;
  if (descriptor < 0 || ::fstat(descriptor, &status) != 0)
    return fail("{}: cannot write: {}", path, std::strerror(errno));
  return AppendFile(std::move(path), descriptor, uint64_t(status.st_size));
}

AppendFile::AppendFile(AppendFile &&other) noexcept
    : filePath(std::move(other.filePath)), descriptor(std::exchange(other.descriptor, -1)),
      bytes(other.bytes) {}

AppendFile::~AppendFile() {
  if (descriptor >= 0)
    ::close(descriptor);
}

Result<> AppendFile::append(std::string_view record) {
  ssize_t count;
  do {
    count = ::write(descriptor, record.data(), record.size());
  } while (count < 0 && errno == EINTR);
  if (count != ssize_t(record.size()))
    return fail("{}: expected to write {} bytes, wrote {}: {}", filePath, record.size(),
                std::max<ssize_t>(count, 0), std::strerror(count < 0 ? errno : ENOSPC));
  bytes += record.size();
  return {};
}

} // namespace sinter::training
