// SPDX-License-Identifier: Apache-2.0
// Links generated objects with the runtime into one executable and adds the weights to it.
#ifndef SINTER_COMPILER_EXECUTABLE_H
#define SINTER_COMPILER_EXECUTABLE_H

#include "compiler/Linker.h"
#include "compiler/WeightSegment.h"

namespace sinter {

/// Static executables need nothing of the machine. Only dynamic ones can open a GPU's driver, for a model or
/// for its training: they need glibc 2.34, and nothing else (libstdc++ is inside).
enum class Linkage { Static, Dynamic, DynamicTrainer };

/// Links `objects` with the runtime to `output`, mode 0777 less the umask. The weights become the file's last
/// segment, page aligned, so that the kernel maps them from the page cache at start; zeros in them are holes
/// of the file. The file appears whole or not at all.
Result<> linkExecutable(const LinkTree &tree, llvm::ArrayRef<ObjectFile> objects, const WeightImage &weights,
                        Linkage linkage, const std::string &output);

} // namespace sinter

#endif // SINTER_COMPILER_EXECUTABLE_H
