// SPDX-License-Identifier: Apache-2.0
// A static library: ar's format around an object and, in place, an ELF object of the weights.
//
//   "!<arch>\n"
//   "/"          the index: how many symbols, where the member of each begins, their names
//   NAME.o       the code
//   weights.o    ELF header, section headers, symbols, names; at the next page the image, a section
#include "compiler/Library.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/Support/EndianStream.h"
#include "llvm/Support/raw_ostream.h"

#include <cstring>

namespace sinter {
namespace {

using namespace llvm::ELF;
using namespace std::string_view_literals;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMemberHeader = 60;

uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

/// The header of a member (ar.h): name, time, owner, group, mode, size.
std::string memberHeader(std::string_view name, uint64_t size) {
  return fmt::format("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", name, 0, 0, 0, "644", size);
}

/// The ELF object of the weights up to its image, which lies `dataOffset` bytes behind its beginning. The
/// section is a large one: other code stays within reach of itself however many weights there are.
std::string weightsObject(uint64_t dataOffset, uint64_t imageBytes) {
  constexpr std::string_view sectionNames =
      "\0.lrodata.sinter_weights\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack\0"sv;
  constexpr std::string_view symbolNames = "\0sinter_weights\0"sv;
  struct Object {
    Elf64_Ehdr header;
    Elf64_Shdr sections[6];
    Elf64_Sym symbols[2];
    char names[96];
  } object = {};
  static_assert(sizeof(Object) == sizeof(Elf64_Ehdr) + 6 * sizeof(Elf64_Shdr) + 2 * sizeof(Elf64_Sym) + 96);
  static_assert(sectionNames.size() + symbolNames.size() <= sizeof object.names);
  Elf64_Ehdr &header = object.header;
  std::memcpy(header.e_ident, ElfMagic, 4);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_REL;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_shoff = offsetof(Object, sections);
  header.e_ehsize = sizeof(Elf64_Ehdr);
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 6;
  header.e_shstrndx = 4;

  std::memcpy(object.names, sectionNames.data(), sectionNames.size());
  std::memcpy(object.names + sectionNames.size(), symbolNames.data(), symbolNames.size());
  const uint64_t names = offsetof(Object, names);
  auto nameOf = [&](std::string_view name) { return static_cast<uint32_t>(sectionNames.find(name)); };
  object.sections[1] = {nameOf(".lrodata"),
                        SHT_PROGBITS,
                        SHF_ALLOC | SHF_X86_64_LARGE,
                        0,
                        dataOffset,
                        imageBytes,
                        0,
                        0,
                        kPage,
                        0};
  object.sections[2] = {nameOf(".symtab"),     SHT_SYMTAB, 0, 0, offsetof(Object, symbols),
                        sizeof object.symbols, 3,          1, 8, sizeof(Elf64_Sym)};
  object.sections[3] = {nameOf(".strtab"),  SHT_STRTAB, 0, 0, names + sectionNames.size(),
                        symbolNames.size(), 0,          0, 1, 0};
  object.sections[4] = {nameOf(".shstrtab"), SHT_STRTAB, 0, 0, names, sectionNames.size(), 0, 0, 1, 0};
  object.sections[5] = {nameOf(".note.GNU-stack"), SHT_PROGBITS, 0, 0, names, 0, 0, 0, 1, 0};
  Elf64_Sym &symbol = object.symbols[1];
  symbol.st_name = 1;
  symbol.setBindingAndType(STB_GLOBAL, STT_OBJECT);
  symbol.st_other = STV_HIDDEN;
  symbol.st_shndx = 1;
  symbol.st_size = imageBytes;
  return {reinterpret_cast<const char *>(&object), sizeof object};
}

/// The member "/": big-endian, as ar has it.
std::string indexMember(llvm::ArrayRef<std::string> symbols, llvm::ArrayRef<uint32_t> members) {
  std::string bytes;
  llvm::raw_string_ostream stream(bytes);
  llvm::support::endian::Writer writer(stream, llvm::endianness::big);
  writer.write<uint32_t>(symbols.size());
  for (uint32_t member : members)
    writer.write<uint32_t>(member);
  for (const std::string &symbol : symbols)
    stream << symbol << '\0';
  if (bytes.size() % 2)
    stream << '\0';
  return bytes;
}

} // namespace

Result<> writeArchive(AtomicFile &archive, const std::string &name, std::string_view object,
                      llvm::ArrayRef<std::string> symbols, const WeightImage &weights) {
  std::vector<std::string> names(symbols);
  std::vector<uint32_t> members(names.size());
  if (weights.size) {
    names.push_back("sinter_weights");
    members.push_back(0);
  }
  // The index has the same size whatever it holds. A name beyond 15 characters stands in a member of its own.
  constexpr std::string_view start = "!<arch>\n";
  std::string longNames = name + "/\n";
  if (longNames.size() % 2)
    longNames += '\n';
  std::string paddedObject(object);
  if (paddedObject.size() % 2)
    paddedObject += '\n';
  uint64_t objectMember =
      start.size() + 2 * kMemberHeader + indexMember(names, members).size() + longNames.size();
  uint64_t weightsMember = objectMember + kMemberHeader + paddedObject.size();
  uint64_t dataInFile = roundUp(weightsMember + kMemberHeader + kPage, kPage);
  uint64_t dataOffset = dataInFile - weightsMember - kMemberHeader;
  uint64_t weightsSize = dataOffset + weights.size;
  if (weightsSize > 9'999'999'999 || weightsMember > UINT32_MAX)
    return fail("{}: expected at most 9999999999 bytes of weights, the most that a static library's members "
                "have, found "
                "{}: keep them outside with --weights-file",
                archive.target(), weightsSize);
  std::fill_n(members.begin(), symbols.size(), objectMember);
  if (weights.size)
    members.back() = weightsMember;

  std::string index = indexMember(names, members), head(start);
  head += memberHeader("/", index.size()) + index + memberHeader("//", longNames.size()) + longNames +
          memberHeader("/0", object.size()) + paddedObject;
  if (weights.size)
    head += memberHeader("weights.o/", weightsSize) + weightsObject(dataOffset, weights.size);
  if (Result<> written = archive.write(head); !written || !weights.size)
    return written;
  return writeImage(archive, dataInFile, weights);
}

} // namespace sinter
