// SPDX-License-Identifier: Apache-2.0
// kernel -> arith, math, vector, scf, llvm, nvvm -> llvm, nvvm.
#include "passes/lowering/GpuPipeline.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "passes/Passes.h"
#include "passes/lowering/LlvmLowering.h"

namespace sinter {

void buildGpuLowering(mlir::OpPassManager &passes, gpu::Architecture architecture) {
  passes.addPass(createEmitGpuPass({gpu::nameOf(architecture).str()}));
  passes.addPass(createMakePersistentPass({gpu::nameOf(architecture).str()}));
  buildLlvmLowering(passes, {});
}

void registerGpuLowering(mlir::DialectRegistry &registry) {
  registerLlvmLowering(registry);
  registry.insert<mlir::NVVM::NVVMDialect>();
}

} // namespace sinter
