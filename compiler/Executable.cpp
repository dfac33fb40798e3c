// SPDX-License-Identifier: Apache-2.0
// The links of a static and of a dynamic executable.
#include "compiler/Executable.h"

#include "runtime/files/AtomicFile.h"

namespace sinter {
namespace {

/// What stands around the objects: start files before them, libraries and end files behind.
struct Surroundings {
  std::vector<std::string> before, after;
};

Surroundings staticSurroundings(const LinkTree &tree) {
  Surroundings result;
  result.before = {"-static", "--build-id=none", tree.path("crt1.o"), tree.path("crti.o"),
                   tree.path("crtbeginT.o")};
  result.after.push_back("--start-group");
  for (const char *archive :
       {"libsinter_main.a", "libstdc++.a", "libm.a", "libmvec.a", "libc.a", "libgcc.a", "libgcc_eh.a"})
    result.after.push_back(tree.path(archive));
  result.after.insert(result.after.end(), {"--end-group", tree.path("crtend.o"), tree.path("crtn.o")});
  return result;
}

/// `opener` of GPUs is what static executables leave out (runtime/device/Device.h).
Surroundings dynamicSurroundings(const LinkTree &tree, const char *opener) {
  Surroundings result;
  result.before = {"-dynamic-linker",
                   "/lib64/ld-linux-x86-64.so.2",
                   "--build-id=fast",
                   "--eh-frame-hdr",
                   "-z",
                   "now",
                   "--no-undefined",
                   "-u",
                   opener,
                   tree.path("crt1.o"),
                   tree.path("crti.o"),
                   tree.path("crtbeginS.o")};
  result.after.push_back("--start-group");
  for (const char *archive :
       {"libsinter_main.a", "libsinter_find_object.a", "libstdc++.a", "libgcc.a", "libgcc_eh.a"})
    result.after.push_back(tree.path(archive));
  result.after.insert(result.after.end(), {"--end-group", "--as-needed"});
  for (const char *name :
       {"libc.so.6", "libm.so.6", "libc_nonshared.a", "ld-linux-x86-64.so.2", "crtendS.o", "crtn.o"})
    result.after.push_back(tree.path(name));
  return result;
}

} // namespace

Result<> linkExecutable(const LinkTree &tree, llvm::ArrayRef<ObjectFile> objects, const WeightImage &weights,
                        Linkage linkage, const std::string &output) {
  Result<AtomicFile> file = AtomicFile::create(output, 0777);
  if (!file)
    return tl::unexpected(file.error());
  if (file->temporaryPath() == file->target())
    return fail("{}: expected the path of a file for the executable, found a device or a pipe", output);
  Result<ObjectFiles> files = ObjectFiles::write(objects);
  if (!files)
    return tl::unexpected(files.error());
  const std::string code = files->scratch("linked");
  const Surroundings around = linkage == Linkage::Static ? staticSurroundings(tree)
                              : linkage == Linkage::Dynamic
                                  ? dynamicSurroundings(tree, "sinter_cuda_opener")
                                  : dynamicSurroundings(tree, "sinter_cuda_trainer_opener");
  Result<> linked = linkWithWeights(*file, code, weights, [&](uint64_t address) {
    std::vector<std::string> arguments = {"--gc-sections",
                                          "--icf=all",
                                          "-O2",
                                          "-z",
                                          "norelro",
                                          "-z",
                                          "stack-size=8388608",
                                          "-s",
                                          "--defsym=sinter_weights=" + std::to_string(address),
                                          "-o",
                                          code};
    arguments.insert(arguments.end(), around.before.begin(), around.before.end());
    arguments.insert(arguments.end(), files->paths().begin(), files->paths().end());
    arguments.insert(arguments.end(), around.after.begin(), around.after.end());
    return runLinker(arguments, output);
  });
  return linked ? file->commit() : linked;
}

} // namespace sinter
