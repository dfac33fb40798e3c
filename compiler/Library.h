// SPDX-License-Identifier: Apache-2.0
// A model as a library: static, shared, and the C header that both answer to.
#ifndef SINTER_COMPILER_LIBRARY_H
#define SINTER_COMPILER_LIBRARY_H

#include "compiler/Linker.h"
#include "compiler/WeightSegment.h"
#include "runtime/files/AtomicFile.h"

namespace sinter {

/// Writes libNAME.so, libNAME.a and NAME.h into `folder`, which is made when there is none; NAME is the
/// folder's own name. The functions that the header declares are all that either library defines for others:
/// everything else (the runtime, libstdc++, the kernels) is local, so that several libraries, and other
/// versions of what they are made of, live in one process. `model`: its name, for the header. Files appear
/// whole or not at all. `opensGpus`: what opens GPUs is in them (runtime/device/Device.h).
Result<> writeLibrary(const LinkTree &tree, llvm::ArrayRef<ObjectFile> objects, const WeightImage &weights,
                      const std::string &model, bool opensGpus, const std::string &folder);

/// The functions that a C header marks with SINTER_API.
std::vector<std::string> declaredFunctions(llvm::StringRef header);

/// Writes an archive: `object`, which defines `symbols`, as member `name`, and (unless it is empty) the
/// image, as an object that defines `sinter_weights`. The image is written in place, so that it passes
/// through no other file.
Result<> writeArchive(AtomicFile &archive, const std::string &name, std::string_view object,
                      llvm::ArrayRef<std::string> symbols, const WeightImage &weights);

} // namespace sinter

#endif // SINTER_COMPILER_LIBRARY_H
