// SPDX-License-Identifier: Apache-2.0
// Turns a program header into the segment of weights, and writes images in place.
#include "compiler/WeightSegment.h"

#include "runtime/abi.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/xxhash.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <span>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sinter {
namespace {

constexpr uint64_t kSegmentAlignment = 2 << 20; // a huge page

std::string errorText() { return std::strerror(errno); }

/// Turns the PT_NOTE header of the ELF file `path` into the segment; gives the offset of the image.
Result<uint64_t> addSegment(const std::string &path, uint64_t size, uint64_t address) {
  int descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0)
    return fail("{}: {}", path, errorText());
  auto closer = llvm::make_scope_exit([&] { close(descriptor); });
  llvm::ELF::Elf64_Ehdr header;
  if (pread(descriptor, &header, sizeof header, 0) != sizeof header)
    return fail("{}: expected an ELF header, found {}", path, errorText());
  struct stat info;
  if (fstat(descriptor, &info))
    return fail("{}: {}", path, errorText());
  uint64_t offset = (info.st_size + kSegmentAlignment - 1) / kSegmentAlignment * kSegmentAlignment;
  for (unsigned index = 0; index < header.e_phnum; ++index) {
    llvm::ELF::Elf64_Phdr segment;
    uint64_t place = header.e_phoff + index * sizeof segment;
    if (pread(descriptor, &segment, sizeof segment, place) != sizeof segment)
      return fail("{}: expected program header {}, found {}", path, index, errorText());
    if (segment.p_type == llvm::ELF::PT_LOAD && segment.p_vaddr + segment.p_memsz > address)
      return fail("{}: expected code and tables that end before address {:#x}, found {:#x}", path, address,
                  segment.p_vaddr + segment.p_memsz);
    if (segment.p_type != llvm::ELF::PT_NOTE)
      continue;
    segment.p_type = llvm::ELF::PT_LOAD;
    segment.p_flags = llvm::ELF::PF_R;
    segment.p_offset = offset;
    segment.p_vaddr = segment.p_paddr = address;
    segment.p_filesz = segment.p_memsz = size;
    segment.p_align = 4096;
    if (pwrite(descriptor, &segment, sizeof segment, place) != sizeof segment)
      return fail("{}: writing a program header: {}", path, errorText());
    return offset;
  }
  return fail("{}: expected a PT_NOTE program header to turn into the segment of weights, found none", path);
}

} // namespace

Result<> writeImage(const std::string &path, uint64_t offset, const WeightImage &weights) {
  int descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0)
    return fail("{}: {}", path, errorText());
  auto closer = llvm::make_scope_exit([&] { close(descriptor); });
  // Real blocks now, so that a full disk is an error here and not a signal while the image is written.
  if (int code = posix_fallocate(descriptor, offset, weights.size))
    return fail("{}: {} bytes for the weights: {}", path, weights.size, std::strerror(code));
  uint64_t page = sysconf(_SC_PAGESIZE), before = offset % page, length = before + weights.size;
  void *address = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, offset - before);
  if (address == MAP_FAILED)
    return fail("{}: mapping {} bytes for the weights: {}", path, weights.size, errorText());
  Result<> written = weights.write({static_cast<uint8_t *>(address) + before, weights.size});
  munmap(address, length);
  return written;
}

Result<> appendWeights(const std::string &path, const WeightImage &weights, uint64_t address) {
  Result<uint64_t> offset = addSegment(path, weights.size, address);
  return offset ? writeImage(path, *offset, weights) : tl::unexpected(offset.error());
}

Result<WeightsFile> writeWeightsFile(const std::string &path, const WeightImage &weights) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return tl::unexpected(file.error());
  sinter_weights_header header = {{}, weights.size, 0};
  std::memcpy(header.magic, SINTER_WEIGHTS_MAGIC, sizeof header.magic);
  WeightImage hashed{weights.size, [&](llvm::MutableArrayRef<uint8_t> bytes) {
                       Result<> written = weights.write(bytes);
                       header.hash = llvm::xxh3_64bits(bytes);
                       return written;
                     }};
  if (Result<> written = writeImage(file->temporaryPath(), SINTER_WEIGHTS_OFFSET, hashed); !written)
    return tl::unexpected(written.error());
  if (Result<> written = file->write(std::as_bytes(std::span(&header, 1))); !written)
    return tl::unexpected(written.error());
  return WeightsFile{std::move(*file), header.hash};
}

} // namespace sinter
