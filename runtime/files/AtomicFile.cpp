// SPDX-License-Identifier: Apache-2.0
// Temporary file beside the target, rename at the end.
#include "runtime/files/AtomicFile.h"

#include "runtime/files/Temporaries.h"

#include <cassert>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace sinter {
namespace {

/// What a symbolic link finally points to; the path itself when it is no link or its target does not exist.
std::string followLinks(const std::string &path) {
  struct stat status;
  char resolved[PATH_MAX];
  if (::lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode) && ::realpath(path.c_str(), resolved))
    return resolved;
  return path;
}

unsigned currentUmask() {
  mode_t mask = ::umask(022);
  ::umask(mask);
  return mask;
}

} // namespace

Result<AtomicFile> AtomicFile::create(std::string target, unsigned mode) {
  AtomicFile file;
  file.targetPath = followLinks(target);

  struct stat status;
  bool exists = ::stat(file.targetPath.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode))
    return fail("{}: expected the path of a file to write, found a directory", target);
  if (exists && !S_ISREG(status.st_mode)) {
    file.descriptor = ::open(file.targetPath.c_str(), O_WRONLY | O_CLOEXEC);
    if (file.descriptor < 0)
      return fail("{}: cannot write: {}", target, std::strerror(errno));
    file.temporary = file.targetPath;
    return file;
  }
  if (exists && ::faccessat(AT_FDCWD, file.targetPath.c_str(), W_OK, AT_EACCESS) != 0)
    return fail("{}: cannot replace the file: {}", target, std::strerror(errno));

  if (target.empty())
    return fail("expected the path of a file to write, found an empty one");
  size_t slash = file.targetPath.rfind('/');
  std::string folder = slash == std::string::npos ? "" : file.targetPath.substr(0, slash + 1);
  std::string name = file.targetPath.substr(folder.size());
  if (name.empty())
    return fail("{}: expected the path of a file to write, found a folder's", target);
  // A name may have 255 bytes: the decoration must not make a valid name too long.
  std::string pattern = folder + "." + name.substr(0, 200) + ".tmp-XXXXXX";
  file.descriptor = ::mkostemp(pattern.data(), O_CLOEXEC);
  if (file.descriptor < 0)
    return fail("{}: expected a folder that can be written to, '{}': {}", target,
                folder.empty() ? "." : folder, std::strerror(errno));
  file.temporary = std::move(pattern);
  rememberTemporary(file.temporary);
  if (::fchmod(file.descriptor, mode & ~currentUmask()) != 0)
    return fail("{}: cannot set the permissions of '{}': {}", target, file.temporary, std::strerror(errno));
  return file;
}

AtomicFile::AtomicFile(AtomicFile &&other) noexcept
    : targetPath(std::move(other.targetPath)), temporary(std::exchange(other.temporary, {})),
      descriptor(std::exchange(other.descriptor, -1)), written(other.written) {}

AtomicFile &AtomicFile::operator=(AtomicFile &&other) noexcept {
  std::swap(targetPath, other.targetPath);
  std::swap(temporary, other.temporary);
  std::swap(descriptor, other.descriptor);
  std::swap(written, other.written);
  return *this;
}

AtomicFile::~AtomicFile() {
  if (descriptor >= 0)
    ::close(descriptor);
  if (!temporary.empty() && temporary != targetPath) {
    ::unlink(temporary.c_str());
    forgetTemporary(temporary);
  }
}

Result<> AtomicFile::write(std::span<const std::byte> bytes) {
  assert(descriptor >= 0 && "write() after commit()");
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t count = ::write(descriptor, bytes.data() + done, std::min<size_t>(bytes.size() - done, 1 << 30));
    if (count < 0 && errno == EINTR)
      continue;
    if (count <= 0)
      return fail("{}: expected to write {} bytes at byte {}, wrote {}: {}", targetPath, bytes.size(),
                  written, done, std::strerror(count < 0 ? errno : ENOSPC));
    done += static_cast<size_t>(count);
  }
  written += done;
  return {};
}

Result<> AtomicFile::commit(bool sync) {
  assert(descriptor >= 0 && "commit() twice");
  bool device = temporary == targetPath;
  // Whoever wrote by name may have replaced the file, so what is synced is what the name says now.
  if (sync && !device) {
    ::close(descriptor);
    descriptor = ::open(temporary.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || ::fsync(descriptor) != 0)
      return fail("{}: cannot bring the file to the disk: {}", targetPath, std::strerror(errno));
  }
  // A disk that reports its errors late (network file systems) reports them here.
  if (::close(std::exchange(descriptor, -1)) != 0)
    return fail("{}: cannot finish writing: {}", targetPath, std::strerror(errno));
  if (device) {
    temporary.clear();
    return {};
  }
  if (::rename(temporary.c_str(), targetPath.c_str()) != 0)
    return fail("{}: cannot rename '{}' to it: {}", targetPath, temporary, std::strerror(errno));
  forgetTemporary(temporary);
  temporary.clear();
  return {};
}

void removeLeftTemporaries(const std::string &folder, std::string_view of) {
  constexpr std::string_view mark = ".tmp-";
  constexpr size_t drawn = 6; // mkostemp's characters
  std::vector<std::filesystem::path> left;
  std::error_code code;
  for (std::filesystem::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with("." + std::string(of)) && name.size() > mark.size() + drawn &&
        name.compare(name.size() - drawn - mark.size(), mark.size(), mark) == 0 &&
        entry->is_regular_file(code))
      left.push_back(entry->path());
  }
  for (const std::filesystem::path &path : left)
    std::filesystem::remove(path, code);
}

} // namespace sinter
