// SPDX-License-Identifier: Apache-2.0
// Kernels ahead of time: objects, header and manifest in a folder.
#ifndef SINTER_COMPILER_KERNELPRODUCT_H
#define SINTER_COMPILER_KERNELPRODUCT_H

#include "compiler/KernelFunction.h"
#include "compiler/Linker.h"
#include "compiler/ModelTable.h"

namespace sinter {

struct KernelProduct {
  std::vector<KernelFunction> functions;
  std::vector<ObjectFile> kernels; // as compileKernels names them: "kernels.ISA.NUMBER"
  std::vector<cpu::Isa> isas;
  std::string model;      // modelManifest, or empty
  bool oneObject = false; // else one for each instruction set, and one for the functions
};

/// Writes NAME.h, sinter_kernels.h (which it includes), NAME.json and the objects into `folder`, whose own
/// name NAME is: NAME.o, or NAME.avx2.o, ... and NAME.o. Whoever links them needs libc and libgcc only.
Result<> writeKernels(const LinkTree &tree, const KernelProduct &product, const std::string &folder);

/// The text of sinter_kernels.h: the structs of runtime/abi.h and how many tiles a launch has.
Result<std::string> kernelDeclarations(const LinkTree &tree);

/// What a model is besides its kernels, for the manifest: the launches of each entry, and where each
/// parameter lies in the image of weights.
std::string modelManifest(mlir::ModuleOp module, const WeightPlacement &placement, const std::string &name);

} // namespace sinter

#endif // SINTER_COMPILER_KERNELPRODUCT_H
