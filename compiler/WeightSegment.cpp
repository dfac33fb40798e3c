// SPDX-License-Identifier: Apache-2.0
// Turns a program header into the segment of weights, and writes images in place.
#include "compiler/WeightSegment.h"

#include "runtime/abi.h"
#include "runtime/device/WeightHashes.h"
#include "runtime/files/MappedFile.h"
#include "runtime/files/SparseFile.h"

#include "llvm/BinaryFormat/ELF.h"

#include <cstring>

namespace sinter {
namespace {

/// Where the weights are mapped: behind any code. The place in the file and the address are equal modulo a
/// huge page, so that the kernel may map the page cache's huge pages.
constexpr uint64_t weightsAddress = 0x40000000, hugePage = 2 << 20, page = 4096;

uint64_t addressFor(uint64_t offset) { return weightsAddress + offset % hugePage; }

/// Turns the PT_NOTE header of the ELF file into the segment of weights.
Result<> addSegment(const SparseFile &file, uint64_t offset, uint64_t size, const std::string &path) {
  llvm::ELF::Elf64_Ehdr header;
  if (Result<> read = file.readAt(0, std::as_writable_bytes(std::span(&header, 1))); !read)
    return read;
  for (unsigned index = 0; index < header.e_phnum; ++index) {
    llvm::ELF::Elf64_Phdr segment;
    uint64_t place = header.e_phoff + index * sizeof segment;
    if (Result<> read = file.readAt(place, std::as_writable_bytes(std::span(&segment, 1))); !read)
      return read;
    if (segment.p_type == llvm::ELF::PT_LOAD && segment.p_vaddr + segment.p_memsz > weightsAddress)
      return fail("{}: expected code and tables that end before address {:#x}, found {:#x}", path,
                  weightsAddress, segment.p_vaddr + segment.p_memsz);
    if (segment.p_type != llvm::ELF::PT_NOTE)
      continue;
    segment.p_type = llvm::ELF::PT_LOAD;
    segment.p_flags = llvm::ELF::PF_R;
    segment.p_offset = offset;
    segment.p_vaddr = segment.p_paddr = addressFor(offset);
    segment.p_filesz = segment.p_memsz = size;
    segment.p_align = page;
    return file.writeAt(place, std::as_bytes(std::span(&segment, 1)));
  }
  return fail("{}: expected a PT_NOTE program header to turn into the segment of weights, found none", path);
}

Result<> writeImage(const SparseFile &file, uint64_t offset, const WeightImage &weights) {
  if (Result<> resized = file.resize(offset + weights.size); !resized)
    return resized;
  return weights.write(
      [&](uint64_t at, std::span<const std::byte> bytes) { return file.writeAt(offset + at, bytes); });
}

} // namespace

Result<> writeImage(const AtomicFile &file, uint64_t offset, const WeightImage &weights) {
  Result<SparseFile> sparse = SparseFile::open(file.temporaryPath(), file.target());
  return sparse ? writeImage(*sparse, offset, weights) : tl::unexpected(sparse.error());
}

Result<> linkWithWeights(const AtomicFile &file, const std::string &linked, const WeightImage &weights,
                         llvm::function_ref<Result<>(uint64_t address)> link) {
  // The address follows from the size of the code, which does not depend on it: linked again when the guess
  // was wrong.
  uint64_t offset = 0;
  for (uint64_t guess = 0;; guess = offset) {
    if (Result<> done = link(addressFor(guess)); !done)
      return done;
    Result<MappedFile> code = MappedFile::open(linked);
    if (!code)
      return tl::unexpected(code.error());
    std::span<const std::byte> bytes = code->bytes();
    offset = (bytes.size() + page - 1) / page * page;
    if (weights.size && addressFor(guess) != addressFor(offset))
      continue;
    // Copied, since lld maps what it writes: a full disk would be a signal there, and is an error here.
    Result<SparseFile> output = SparseFile::open(file.temporaryPath(), file.target());
    if (!output)
      return tl::unexpected(output.error());
    Result<> written = output->resize(bytes.size());
    if (written)
      written = output->writeAt(0, bytes);
    if (written && weights.size)
      written = addSegment(*output, offset, weights.size, file.target());
    return written && weights.size ? writeImage(*output, offset, weights) : written;
  }
}

Result<WeightsFile> writeWeightsFile(const std::string &path, const WeightImage &weights) {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return tl::unexpected(file.error());
  if (Result<> written = writeImage(*file, SINTER_WEIGHTS_OFFSET, weights); !written)
    return tl::unexpected(written.error());
  // The image comes in pieces and in any order; read as a whole it is in the page cache still.
  std::vector<uint64_t> table;
  {
    Result<MappedFile> whole = MappedFile::open(file->temporaryPath());
    if (!whole)
      return tl::unexpected(whole.error());
    table = device::hashTable(whole->bytes().subspan(SINTER_WEIGHTS_OFFSET));
  }
  std::span<const std::byte> tableBytes = std::as_bytes(std::span(table));
  Result<SparseFile> sparse = SparseFile::open(file->temporaryPath(), path);
  if (!sparse)
    return tl::unexpected(sparse.error());
  uint64_t tableOffset = SINTER_WEIGHTS_OFFSET + device::hashTableOffset(weights.size);
  if (Result<> resized = sparse->resize(tableOffset + tableBytes.size()); !resized)
    return tl::unexpected(resized.error());
  if (Result<> written = sparse->writeAt(tableOffset, tableBytes); !written)
    return tl::unexpected(written.error());
  uint64_t hash = device::hashOf(tableBytes);
  sinter_weights_header header = {{}, weights.size, hash};
  std::memcpy(header.magic, SINTER_WEIGHTS_MAGIC, sizeof header.magic);
  if (Result<> written = file->write(std::as_bytes(std::span(&header, 1))); !written)
    return tl::unexpected(written.error());
  return WeightsFile{std::move(*file), hash};
}

} // namespace sinter
