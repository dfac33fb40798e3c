// SPDX-License-Identifier: Apache-2.0
// Opens, checks and maps a file; unmaps it at the end.
#include "runtime/files/MappedFile.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sinter {

Result<MappedFile> MappedFile::open(std::string path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0)
    return fail("{}: expected a readable file, found: {}", path, std::strerror(errno));

  struct stat status;
  if (::fstat(descriptor, &status) != 0) {
    int reason = errno;
    ::close(descriptor);
    return fail("{}: cannot read the file's size: {}", path, std::strerror(reason));
  }
  if (!S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return fail("{}: expected a file, found a {}", path,
                S_ISDIR(status.st_mode) ? "directory" : "device or pipe");
  }
  if (status.st_size == 0) {
    ::close(descriptor);
    return fail("{}: expected a file with content, found an empty one", path);
  }

  size_t size = static_cast<size_t>(status.st_size);
  void *address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
  int reason = errno;
  ::close(descriptor);
  if (address == MAP_FAILED)
    return fail("{}: cannot map {} bytes into memory: {}", path, size, std::strerror(reason));

  MappedFile file;
  file.filePath = std::move(path);
  file.mapped = {static_cast<const std::byte *>(address), size};
  return file;
}

MappedFile::MappedFile(MappedFile &&other) noexcept
    : filePath(std::move(other.filePath)), mapped(std::exchange(other.mapped, {})) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(filePath, other.filePath);
  std::swap(mapped, other.mapped);
  return *this;
}

MappedFile::~MappedFile() {
  if (!mapped.empty())
    ::munmap(const_cast<std::byte *>(mapped.data()), mapped.size());
}

} // namespace sinter
