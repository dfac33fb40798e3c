// SPDX-License-Identifier: Apache-2.0
// lld in this process, and what it links from: where sinter is installed no compiler is needed.
#ifndef SINTER_COMPILER_LINKER_H
#define SINTER_COMPILER_LINKER_H

#include "compiler/CpuTarget.h"
#include "runtime/Result.h"
#include "runtime/files/ScratchFolder.h"

#include "llvm/ADT/ArrayRef.h"

#include <filesystem>
#include <string>
#include <vector>

namespace sinter {

/// What the linker needs besides the generated objects: start files, libc, libstdc++ and the runtime. It is
/// `../lib/sinter/link` seen from the folder of `sinter`, in the build tree as in an installed one.
struct LinkTree {
  std::string folder;

  /// The tree beside the running program; an error names the folder that should be there.
  static Result<LinkTree> find(const std::string &argv0);

  /// The folder of shared libraries, ../lib seen from the folder of `sinter`.
  std::string libraries() const { return std::filesystem::path(folder).parent_path().parent_path(); }

  std::string path(llvm::StringRef name) const { return folder + "/" + name.str(); }
};

/// Generated objects as files, in a temporary folder that goes with this value.
class ObjectFiles {
public:
  static Result<ObjectFiles> write(llvm::ArrayRef<ObjectFile> objects);

  llvm::ArrayRef<std::string> paths() const { return files; }
  /// A path for another file, which goes with them.
  std::string scratch(llvm::StringRef name) const { return folder.path(name); }

private:
  explicit ObjectFiles(ScratchFolder folder) : folder(std::move(folder)) {}

  ScratchFolder folder;
  std::vector<std::string> files;
};

/// Everything but libc and the unwinder, as arguments of the linker: what libraries are made of. `roots` are
/// the functions that keep it alive.
std::vector<std::string> runtimeInputs(const LinkTree &tree, llvm::ArrayRef<std::string> objects,
                                       llvm::ArrayRef<std::string> roots);

/// Links `inputs` to one object in which all but `globals` is local, so that it clashes with nothing in a
/// program; what it lacks stays undefined. `scratch` is where it is made, `output` the file that messages are
/// about.
Result<std::string> linkRelocatable(llvm::ArrayRef<std::string> inputs, llvm::ArrayRef<std::string> globals,
                                    const ObjectFiles &scratch, const std::string &output);

/// Runs ld.lld with `arguments`; the error holds its messages. `output` is the file that messages are about.
Result<> runLinker(llvm::ArrayRef<std::string> arguments, const std::string &output);

} // namespace sinter

#endif // SINTER_COMPILER_LINKER_H
