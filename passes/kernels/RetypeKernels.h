// SPDX-License-Identifier: Apache-2.0
// Kernels follow the types of the buffers that they are launched on.
#ifndef SINTER_PASSES_KERNELS_RETYPEKERNELS_H
#define SINTER_PASSES_KERNELS_RETYPEKERNELS_H

#include "dialects/kernel/Kernel.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"

namespace sinter {

/// Gives each function the types of the buffers of its launches, as its arguments; launches on other types get a copy of
/// the function.
void retypeKernels(mlir::ModuleOp module, mlir::SymbolTable &symbols);

} // namespace sinter

#endif // SINTER_PASSES_KERNELS_RETYPEKERNELS_H
