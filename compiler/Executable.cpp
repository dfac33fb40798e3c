// SPDX-License-Identifier: Apache-2.0
// The link of a static executable.
#include "compiler/Executable.h"

#include "runtime/files/AtomicFile.h"

namespace sinter {

Result<> linkExecutable(const LinkTree &tree, llvm::ArrayRef<ObjectFile> objects, const WeightImage &weights,
                        const std::string &output) {
  Result<AtomicFile> file = AtomicFile::create(output, 0777);
  if (!file)
    return tl::unexpected(file.error());
  if (file->temporaryPath() == file->target())
    return fail("{}: expected the path of a file for the executable, found a device or a pipe", output);
  Result<ObjectFiles> files = ObjectFiles::write(objects);
  if (!files)
    return tl::unexpected(files.error());
  const std::string code = files->scratch("linked");
  Result<> linked = linkWithWeights(*file, code, weights, [&](uint64_t address) {
    std::vector<std::string> arguments = {"-static", "--gc-sections", "--icf=all", "-O2", "--build-id=none",
                                          "-z", "norelro", "-z", "stack-size=8388608", "-s",
                                          "--defsym=sinter_weights=" + std::to_string(address), "-o",
                                          code, tree.path("crt1.o"), tree.path("crti.o"),
                                          tree.path("crtbeginT.o")};
    arguments.insert(arguments.end(), files->paths().begin(), files->paths().end());
    arguments.push_back("--start-group");
    for (const char *archive : {"libsinter_main.a", "libstdc++.a", "libm.a", "libmvec.a", "libc.a", "libgcc.a",
                                "libgcc_eh.a"})
      arguments.push_back(tree.path(archive));
    arguments.insert(arguments.end(), {"--end-group", tree.path("crtend.o"), tree.path("crtn.o")});
    return runLinker(arguments, output);
  });
  return linked ? file->commit() : linked;
}

} // namespace sinter
