// SPDX-License-Identifier: Apache-2.0
// The one list of passes from kernels to the llvm dialect, for CPUs.
#ifndef SINTER_PASSES_LOWERING_CPUPIPELINE_H
#define SINTER_PASSES_LOWERING_CPUPIPELINE_H

#include "mlir/Pass/PassManager.h"
#include "passes/lowering/cpu/Target.h"

namespace mlir {
class DialectRegistry;
}

namespace sinter {

/// After it the module holds the llvm dialect only.
void buildCpuLowering(mlir::OpPassManager &passes, cpu::Isa isa);

/// What the pipeline needs registered in a context: dialects and conversions to LLVM.
void registerCpuLowering(mlir::DialectRegistry &registry);

} // namespace sinter

#endif // SINTER_PASSES_LOWERING_CPUPIPELINE_H
