// SPDX-License-Identifier: Apache-2.0
// GPU kernels ahead of time: a file of PTX or machine code each, a C header and a manifest in a folder.
#ifndef SINTER_COMPILER_GPUPRODUCT_H
#define SINTER_COMPILER_GPUPRODUCT_H

#include "compiler/KernelFunction.h"
#include "compiler/Linker.h"
#include "compiler/ModelTable.h"

namespace sinter {

enum class GpuForm { Ptx, Cubin };

struct GpuProduct {
  std::vector<KernelFunction> functions;
  std::vector<GpuCode> code; // of one or several architectures
  std::string model;         // modelManifest, or empty
};

/// Cuts a module of LLVM's PTX into modules of one kernel each, by the kernels' names: what stands outside of
/// kernels (version, target, variables) goes with each.
std::map<std::string, std::string> splitPtx(llvm::StringRef ptx);

/// Writes NAME.h, sinter_kernels.h (which it includes), NAME.json and for each kernel and architecture
/// KERNEL.ARCHITECTURE.ptx, or .cubin, which needs ptxas, into `folder`, whose own name NAME is.
Result<> writeGpuKernels(const LinkTree &tree, const GpuProduct &product, GpuForm form,
                         const std::string &folder);

} // namespace sinter

#endif // SINTER_COMPILER_GPUPRODUCT_H
