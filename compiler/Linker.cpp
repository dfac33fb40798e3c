// SPDX-License-Identifier: Apache-2.0
// Runs lld, and keeps the objects it reads.
#include "compiler/Linker.h"

#include "lld/Common/Driver.h"
#include "llvm/ObjCopy/ConfigManager.h"
#include "llvm/ObjCopy/ObjCopy.h"
#include "llvm/Object/Binary.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

LLD_HAS_DRIVER(elf)

namespace sinter {

Result<LinkTree> LinkTree::find(const std::string &argv0) {
  std::string program =
      llvm::sys::fs::getMainExecutable(argv0.c_str(), reinterpret_cast<void *>(&LinkTree::find));
  llvm::SmallString<256> folder(llvm::sys::path::parent_path(llvm::sys::path::parent_path(program)));
  llvm::sys::path::append(folder, "lib", "sinter", "link");
  if (!llvm::sys::fs::exists(folder + "/crt1.o"))
    return fail("{}: expected the start files and static libraries for linking, found no crt1.o there",
                folder.str().str());
  return LinkTree{folder.str().str()};
}

Result<ObjectFiles> ObjectFiles::write(llvm::ArrayRef<ObjectFile> objects) {
  Result<ScratchFolder> folder = ScratchFolder::create();
  if (!folder)
    return tl::unexpected(folder.error());
  ObjectFiles result(std::move(*folder));
  for (const ObjectFile &object : objects) {
    std::string path = result.scratch(object.name + ".o");
    std::error_code code;
    llvm::raw_fd_ostream stream(path, code);
    if (code)
      return fail("{}: {}", path, code.message());
    stream.write(object.bytes.data(), object.bytes.size());
    stream.close();
    if (stream.has_error()) {
      std::string reason = stream.error().message();
      stream.clear_error();
      return fail("{}: {}", path, reason);
    }
    result.files.push_back(path);
  }
  return result;
}

Result<> runLinker(llvm::ArrayRef<std::string> arguments, const std::string &output) {
  std::vector<const char *> raw = {"ld.lld", "-m", "elf_x86_64"};
  for (const std::string &argument : arguments)
    raw.push_back(argument.c_str());
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  lld::Result result = lld::lldMain(raw, stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (result.retCode != 0)
    return fail("linking {}: expected success, found: {}", output, messages);
  return {};
}

std::vector<std::string> runtimeInputs(const LinkTree &tree, llvm::ArrayRef<std::string> objects,
                                       llvm::ArrayRef<std::string> roots) {
  std::vector<std::string> inputs = {"--gc-sections"};
  for (const std::string &root : roots)
    inputs.insert(inputs.end(), {"-u", root});
  inputs.insert(inputs.end(), objects.begin(), objects.end());
  inputs.push_back("--start-group");
  for (const char *archive : {"libsinter_main.a", "libstdc++.a", "libgcc.a"})
    inputs.push_back(tree.path(archive));
  inputs.push_back("--end-group");
  return inputs;
}

Result<std::string> linkRelocatable(llvm::ArrayRef<std::string> inputs, llvm::ArrayRef<std::string> globals,
                                    const ObjectFiles &scratch, const std::string &output) {
  std::string path = scratch.scratch("linked.o");
  // Without groups: a linker would merge them with those of the program, which then would miss what is local
  // here.
  std::vector<std::string> arguments = {"-r", "--force-group-allocation", "-o", path};
  arguments.insert(arguments.end(), inputs.begin(), inputs.end());
  if (Result<> linked = runLinker(arguments, output); !linked)
    return tl::unexpected(linked.error());

  auto message = [&](llvm::Error error) { return fail("{}: {}", output, llvm::toString(std::move(error))); };
  llvm::Expected<llvm::object::OwningBinary<llvm::object::Binary>> binary = llvm::object::createBinary(path);
  if (!binary)
    return message(binary.takeError());
  llvm::objcopy::ConfigManager config;
  for (const std::string &name : globals)
    if (llvm::Error error = config.Common.SymbolsToKeepGlobal.addMatcher(llvm::objcopy::NameOrPattern::create(
            name, llvm::objcopy::MatchStyle::Literal, [](llvm::Error error) { return error; })))
      return message(std::move(error));
  // Functions of MLIR's headers (dump() of every class) that stand unused in our own objects, and would ask
  // for MLIR.
  for (const char *pattern : {".text._ZN4mlir*", ".text._ZNK4mlir*"})
    if (llvm::Error error = config.Common.ToRemove.addMatcher(llvm::objcopy::NameOrPattern::create(
            pattern, llvm::objcopy::MatchStyle::Wildcard, [](llvm::Error error) { return error; })))
      return message(std::move(error));
  config.Common.StripUnneeded = true;
  llvm::SmallString<0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (llvm::Error error = llvm::objcopy::executeObjcopyOnBinary(config, *binary->getBinary(), stream))
    return message(std::move(error));
  return bytes.str().str();
}

} // namespace sinter
