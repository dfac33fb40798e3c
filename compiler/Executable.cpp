// SPDX-License-Identifier: Apache-2.0
// The link of a static executable.
#include "compiler/Executable.h"

#include "runtime/files/AtomicFile.h"

namespace sinter {

/// Address at which an executable maps its weights; the symbol `sinter_weights` in generated objects.
static constexpr uint64_t kWeightsAddress = 0x40000000;

Result<> linkExecutable(const LinkTree &tree, llvm::ArrayRef<ObjectFile> objects, const WeightImage &weights,
                        const std::string &output) {
  Result<AtomicFile> file = AtomicFile::create(output, 0777);
  if (!file)
    return tl::unexpected(file.error());
  Result<ObjectFiles> files = ObjectFiles::write(objects);
  if (!files)
    return tl::unexpected(files.error());
  std::vector<std::string> arguments = {"-static", "--gc-sections", "--build-id=none", "-z", "norelro", "-z",
                                        "stack-size=8388608", "-s",
                                        "--defsym=sinter_weights=" + std::to_string(kWeightsAddress), "-o",
                                        file->temporaryPath(), tree.path("crt1.o"), tree.path("crti.o"),
                                        tree.path("crtbeginT.o")};
  arguments.insert(arguments.end(), files->paths().begin(), files->paths().end());
  arguments.push_back("--start-group");
  for (const char *archive : {"libsinter_main.a", "libstdc++.a", "libm.a", "libmvec.a", "libc.a", "libgcc.a",
                              "libgcc_eh.a"})
    arguments.push_back(tree.path(archive));
  arguments.insert(arguments.end(), {"--end-group", tree.path("crtend.o"), tree.path("crtn.o")});
  if (Result<> linked = runLinker(arguments, output); !linked)
    return linked;
  if (weights.size)
    if (Result<> appended = appendWeights(file->temporaryPath(), weights, kWeightsAddress); !appended)
      return appended;
  return file->commit();
}

} // namespace sinter
