// SPDX-License-Identifier: Apache-2.0
// pread, pwrite, ftruncate; a full disk or a limit is an error here, where a mapped file would give a signal.
#include "runtime/files/SparseFile.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sinter {

Result<SparseFile> SparseFile::open(const std::string &path, std::string shownPath) {
  int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0)
    return fail("{}: cannot open '{}': {}", shownPath, path, std::strerror(errno));
  return SparseFile(std::move(shownPath), descriptor);
}

SparseFile::~SparseFile() {
  if (descriptor >= 0)
    ::close(descriptor);
}

Result<uint64_t> SparseFile::size() const {
  struct stat status;
  if (::fstat(descriptor, &status) != 0)
    return fail("{}: cannot read the file's size: {}", path, std::strerror(errno));
  return static_cast<uint64_t>(status.st_size);
}

Result<> SparseFile::resize(uint64_t size) const {
  if (::ftruncate(descriptor, static_cast<off_t>(size)) != 0)
    return fail("{}: cannot make a file of {} bytes: {}", path, size, std::strerror(errno));
  return {};
}

Result<> SparseFile::readAt(uint64_t offset, std::span<std::byte> bytes) const {
  for (size_t done = 0; done < bytes.size();) {
    ssize_t count =
        ::pread(descriptor, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return fail("{}: expected to read {} bytes at byte {}, read {}: {}", path, bytes.size(), offset, done,
                  count < 0 ? std::strerror(errno) : "the end of the file");
    done += static_cast<size_t>(count);
  }
  return {};
}

Result<> SparseFile::writeAt(uint64_t offset, std::span<const std::byte> bytes) const {
  constexpr size_t page = 4096;
  static constexpr std::byte zeros[page] = {};
  auto isHole = [&](size_t begin) {
    return std::memcmp(bytes.data() + begin, zeros, std::min(page, bytes.size() - begin)) == 0;
  };
  for (size_t begin = 0; begin < bytes.size();) {
    size_t end = begin;
    while (end < bytes.size() && !isHole(end))
      end = std::min(end + page, bytes.size());
    if (end == begin) {
      begin += page;
      continue;
    }
    while (begin < end) {
      ssize_t count =
          ::pwrite(descriptor, bytes.data() + begin, end - begin, static_cast<off_t>(offset + begin));
      if (count < 0 && errno == EINTR)
        continue;
      if (count <= 0)
        return fail("{}: cannot write {} bytes at byte {}: {}", path, end - begin, offset + begin,
                    std::strerror(count < 0 ? errno : ENOSPC));
      begin += static_cast<size_t>(count);
    }
  }
  return {};
}

} // namespace sinter
