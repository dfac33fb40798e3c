// SPDX-License-Identifier: Apache-2.0
// Linking in-process with lld, and the segment of weights.
//
// The weights never pass through the linker: it links the code with the absolute symbol `sinter_weights`, then
// the ELF file gets the image appended at a 2 MiB boundary, and its PT_NOTE program header (which a static
// executable does not need) becomes a read-only PT_LOAD at that address. So the cost of linking does not depend
// on the model's size, and sizes beyond 2 or 4 GiB need no large code model.
#include "compiler/Executable.h"

#include "lld/Common/Driver.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

LLD_HAS_DRIVER(elf)

namespace sinter {
namespace {

constexpr uint64_t kSegmentAlignment = 2 << 20; // a huge page

std::string errorText() { return std::strerror(errno); }

Result<> runLinker(const LinkTree &tree, llvm::ArrayRef<std::string> objects, const std::string &output) {
  auto inTree = [&](const char *name) { return tree.folder + "/" + name; };
  std::vector<std::string> arguments = {"ld.lld", "-m", "elf_x86_64", "-static", "--gc-sections", "--build-id=none",
                                        "-z", "norelro", "-z", "stack-size=8388608", "-s",
                                        "--defsym=sinter_weights=" + std::to_string(kWeightsAddress), "-o", output,
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

/// Turns the PT_NOTE header of the ELF file `descriptor` into the segment of weights and grows the file;
/// gives the offset of the image.
Result<uint64_t> addSegment(int descriptor, uint64_t size, const std::string &path) {
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
    if (segment.p_type != llvm::ELF::PT_NOTE)
      continue;
    segment.p_type = llvm::ELF::PT_LOAD;
    segment.p_flags = llvm::ELF::PF_R;
    segment.p_offset = offset;
    segment.p_vaddr = segment.p_paddr = kWeightsAddress;
    segment.p_filesz = segment.p_memsz = size;
    segment.p_align = 4096;
    if (pwrite(descriptor, &segment, sizeof segment, place) != sizeof segment)
      return fail("{}: writing a program header: {}", path, errorText());
    // Real blocks now, so that a full disk is an error here and not a signal while the image is written.
    if (int code = posix_fallocate(descriptor, offset, size))
      return fail("{}: {} bytes for the weights: {}", path, size, std::strerror(code));
    return offset;
  }
  return fail("{}: expected a PT_NOTE program header to turn into the segment of weights, found none", path);
}

Result<> appendWeights(const std::string &path, const WeightImage &weights) {
  int descriptor = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0)
    return fail("{}: {}", path, errorText());
  auto closer = llvm::make_scope_exit([&] { close(descriptor); });
  Result<uint64_t> offset = addSegment(descriptor, weights.size, path);
  if (!offset)
    return tl::unexpected(offset.error());
  void *address = mmap(nullptr, weights.size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, *offset);
  if (address == MAP_FAILED)
    return fail("{}: mapping {} bytes for the weights: {}", path, weights.size, errorText());
  Result<> written = weights.write({static_cast<uint8_t *>(address), weights.size});
  munmap(address, weights.size);
  return written;
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
  std::string temporary = output + ".partial-" + std::to_string(getpid());
  auto cleaner = llvm::make_scope_exit([&] { unlink(temporary.c_str()); });
  if (Result<> linked = runLinker(tree, objects, temporary); !linked)
    return linked;
  if (weights.size)
    if (Result<> appended = appendWeights(temporary, weights); !appended)
      return appended;
  if (chmod(temporary.c_str(), 0755) || rename(temporary.c_str(), output.c_str()))
    return fail("{}: {}", output, errorText());
  cleaner.release();
  return {};
}

} // namespace sinter
