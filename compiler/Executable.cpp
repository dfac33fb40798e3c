// SPDX-License-Identifier: Apache-2.0
// Linking in-process with lld, and the segment of weights.
//
// The weights never pass through the linker: it links the code with the absolute symbol `sinter_weights`, then
// the ELF file gets the image appended, and its PT_NOTE program header (which a static executable does not need)
// becomes a read-only PT_LOAD at that address. So the cost of linking does not depend on the model's size, and sizes
// beyond 2 or 4 GiB need no large code model.
#include "compiler/Executable.h"

#include "runtime/files/AtomicFile.h"
#include "runtime/files/SparseFile.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

LLD_HAS_DRIVER(elf)

namespace sinter {
namespace {

/// Where an executable maps its weights: behind any code. The place in the file and the address are equal modulo a huge
/// page, so that the kernel may map the page cache's huge pages.
constexpr uint64_t weightsAddress = 0x40000000, hugePage = 2 << 20, page = 4096;

Result<> runLinker(const LinkTree &tree, llvm::ArrayRef<std::string> objects, uint64_t address,
                   const std::string &output) {
  auto inTree = [&](const char *name) { return tree.folder + "/" + name; };
  std::vector<std::string> arguments = {"ld.lld", "-m", "elf_x86_64", "-static", "--gc-sections", "--icf=all", "-O2", "--build-id=none",
                                        "-z", "norelro", "-z", "stack-size=8388608", "-s",
                                        "--defsym=sinter_weights=" + std::to_string(address), "-o", output,
                                        inTree("crt1.o"), inTree("crti.o"), inTree("crtbeginT.o")};
  arguments.insert(arguments.end(), objects.begin(), objects.end());
  arguments.push_back("--start-group");
  for (const char *archive : {"libsinter_main.a", "libstdc++.a", "libm.a", "libmvec.a", "libc.a", "libgcc.a",
                              "libgcc_eh.a"})
    arguments.push_back(inTree(archive));
  arguments.insert(arguments.end(), {"--end-group", inTree("crtend.o"), inTree("crtn.o")});

  std::vector<const char *> raw;
  for (const std::string &argument : arguments)
    raw.push_back(argument.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(raw, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return fail("linking {}: expected success, found: {}", output, messages);
  return {};
}

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

Result<> appendWeights(const SparseFile &file, uint64_t offset, const WeightImage &weights, const std::string &path) {
  if (weights.size == 0)
    return {};
  if (Result<> resized = file.resize(offset + weights.size); !resized)
    return resized;
  if (Result<> added = addSegment(file, offset, weights.size, path); !added)
    return added;
  return weights.write([&](uint64_t at, std::span<const std::byte> bytes) { return file.writeAt(offset + at, bytes); });
}

} // namespace

Result<LinkTree> LinkTree::find(const char *argv0) {
  std::string program = llvm::sys::fs::getMainExecutable(argv0, reinterpret_cast<void *>(&LinkTree::find));
  llvm::SmallString<256> folder(llvm::sys::path::parent_path(llvm::sys::path::parent_path(program)));
  llvm::sys::path::append(folder, "lib", "sinter", "link");
  if (!llvm::sys::fs::exists(folder + "/crt1.o"))
    return fail("{}: expected the start files and static libraries for linking, found no crt1.o there",
                folder.str().str());
  return LinkTree{folder.str().str()};
}

Result<> linkExecutable(const LinkTree &tree, llvm::ArrayRef<std::string> objects, const WeightImage &weights,
                        std::string output) { // a copy: lld resets the flags of this process
  Result<AtomicFile> file = AtomicFile::create(output, 0777);
  if (!file)
    return tl::unexpected(file.error());
  if (file->temporaryPath() == file->target())
    return fail("{}: expected the path of a file for the executable, found a device or a pipe", output);
  // The address follows from the size of the code, which does not depend on it: linked again when the guess was wrong.
  for (uint64_t guess = 0;;) {
    if (Result<> linked = runLinker(tree, objects, addressFor(guess), file->temporaryPath()); !linked)
      return linked;
    Result<SparseFile> linked = SparseFile::open(file->temporaryPath(), output);
    Result<uint64_t> size = linked ? linked->size() : tl::unexpected(linked.error());
    if (!size)
      return tl::unexpected(size.error());
    uint64_t offset = (*size + page - 1) / page * page;
    if (weights.size && addressFor(guess) != addressFor(offset)) {
      guess = offset;
      continue;
    }
    if (Result<> appended = appendWeights(*linked, offset, weights, output); !appended)
      return appended;
    return file->commit();
  }
}

} // namespace sinter
