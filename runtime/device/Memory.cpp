// SPDX-License-Identifier: Apache-2.0
// mmap, madvise, and the two files that say how much memory there is.
#include "runtime/device/Memory.h"
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

namespace sinter::device {

namespace {

constexpr size_t largePage = size_t(2) << 20;

/// The first 4095 bytes of a small file of /proc or /sys; an empty string when there is none.
std::string readSmallFile(const char *path) {
  char text[4096];
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return {};
  const ssize_t got = read(descriptor, text, sizeof text - 1);
  close(descriptor);
  return got > 0 ? std::string(text, size_t(got)) : std::string();
}

/// The number behind `key` where it first occurs in a small file, 0 when it does not.
uint64_t numberBehind(const char *key, const char *path) {
  const std::string text = readSmallFile(path);
  const size_t at = text.find(key);
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + std::strlen(key), nullptr, 10);
}

/// The value in bytes of a line "Key:   123 kB" of /proc/meminfo, 0 when absent.
uint64_t memoryInfo(const char *key) { return numberBehind(key, "/proc/meminfo") * 1024; }

/// What there is where /proc is not mounted: in bytes, and without what could be reclaimed.
struct sysinfo askKernel() {
  struct sysinfo info = {};
  if (sysinfo(&info) == 0) {
    info.totalram *= info.mem_unit;
    info.freeram *= info.mem_unit;
  }
  return info;
}

/// The limit of this process's control group (version 2 as containers mount it), or the largest number.
uint64_t groupLimit() {
  const std::string text = readSmallFile("/sys/fs/cgroup/memory.max");
  if (text.empty() || text[0] < '0' || text[0] > '9')
    return UINT64_MAX;
  return std::strtoull(text.c_str(), nullptr, 10);
}

/// What the control group may still use: its limit without what it uses already, but for the pages of files
/// that the system can drop.
uint64_t groupAvailable() {
  const uint64_t limit = groupLimit();
  if (limit == UINT64_MAX)
    return limit;
  constexpr const char *statistics = "/sys/fs/cgroup/memory.stat";
  const uint64_t used = numberBehind("", "/sys/fs/cgroup/memory.current");
  const uint64_t files =
      numberBehind("\ninactive_file ", statistics) + numberBehind("\nactive_file ", statistics);
  const uint64_t kept = used - std::min(used, files);
  return limit - std::min(limit, kept);
}

} // namespace

Mapping::~Mapping() {
  if (base)
    munmap(base, length);
}

Result<Mapping> Mapping::anonymous(size_t bytes, bool largePages, const char *purpose) {
  Mapping mapping;
  if (bytes > SIZE_MAX / 2)
    return fail("{}: {} bytes cannot be addressed", purpose, bytes);
  // What nearly fills a large page gets one: small pages lie anywhere in the caches, and parts of a working
  // set that fits them push each other out.
  if (largePages && bytes >= largePage / 8)
    bytes = (bytes + largePage - 1) / largePage * largePage;
  mapping.length = bytes + largePage;
  void *const got = mmap(nullptr, mapping.length, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED)
    return fail("{}: expected {} bytes of memory, the system gave none: {}", purpose, bytes,
                std::strerror(errno));
  mapping.base = got;
  const uintptr_t address = (reinterpret_cast<uintptr_t>(got) + largePage - 1) / largePage * largePage;
  mapping.start = reinterpret_cast<std::byte *>(address);
  if (largePages && bytes >= largePage)
    madvise(mapping.start, bytes, MADV_HUGEPAGE);
  return mapping;
}

Result<Mapping> Mapping::file(const std::string &path, uint64_t offset, uint64_t bytes) {
  const int descriptor =
      open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe would wait for a writer
  if (descriptor < 0)
    return fail("{}: cannot open: {}", path, std::strerror(errno));
  struct stat status;
  const bool known = fstat(descriptor, &status) == 0;
  if (known && S_ISDIR(status.st_mode)) {
    close(descriptor);
    return fail("{}: expected a file, found a folder", path);
  }
  if (!known || uint64_t(status.st_size) < offset || uint64_t(status.st_size) - offset < bytes) {
    close(descriptor);
    return fail("{}: expected at least {} bytes, found {}", path, offset + bytes,
                known ? uint64_t(status.st_size) : 0);
  }
  Mapping mapping;
  mapping.length = std::max<uint64_t>(bytes, 1);
  void *const got = mmap(nullptr, mapping.length, PROT_READ, MAP_PRIVATE, descriptor, off_t(offset));
  const int reason = errno;
  close(descriptor);
  if (got == MAP_FAILED)
    return fail("{}: cannot map {} bytes: {}", path, bytes, std::strerror(reason));
  mapping.base = got;
  mapping.start = static_cast<std::byte *>(got);
  return mapping;
}

void copyFromFile(void *to, const void *from, size_t bytes) {
  constexpr size_t piece = size_t(16) << 20, page = 4096;
  for (size_t done = 0; done < bytes; done += piece) {
    const size_t count = std::min(piece, bytes - done);
    std::memcpy(static_cast<char *>(to) + done, static_cast<const char *>(from) + done, count);
    // Unlike MADV_DONTNEED this loses nothing if the memory is of no file after all.
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(from) + done) / page * page;
    const uintptr_t end = (reinterpret_cast<uintptr_t>(from) + done + count) / page * page;
    madvise(reinterpret_cast<void *>(begin), end - begin, MADV_PAGEOUT);
  }
}

uint64_t totalMemory() {
  const uint64_t known = memoryInfo("MemTotal:");
  return std::min(known ? known : askKernel().totalram, groupLimit());
}

uint64_t availableMemory() {
  const uint64_t known = memoryInfo("MemAvailable:");
  return std::min(known ? known : askKernel().freeram, groupAvailable());
}

} // namespace sinter::device
