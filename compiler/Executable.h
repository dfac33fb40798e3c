// SPDX-License-Identifier: Apache-2.0
// Links generated objects with the runtime into one static executable and adds the weights to it.
#ifndef SINTER_COMPILER_EXECUTABLE_H
#define SINTER_COMPILER_EXECUTABLE_H

#include "compiler/Linker.h"
#include "compiler/WeightSegment.h"

namespace sinter {

/// Links `objects` with the runtime to `output`, mode 0777 less the umask. The weights become the file's last segment,
/// page aligned, so that the kernel maps them from the page cache at start; zeros in them are holes of the file. The
/// file appears whole or not at all.
Result<> linkExecutable(const LinkTree &tree, llvm::ArrayRef<ObjectFile> objects, const WeightImage &weights,
                        const std::string &output);

} // namespace sinter

#endif // SINTER_COMPILER_EXECUTABLE_H
