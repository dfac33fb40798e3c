// SPDX-License-Identifier: Apache-2.0
// The passes from the kernel dialect to LLVM's for one architecture of GPUs, and the dialects they need.
#ifndef SINTER_PASSES_LOWERING_GPUPIPELINE_H
#define SINTER_PASSES_LOWERING_GPUPIPELINE_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/Operation.h"
#include "mlir/Pass/PassManager.h"
#include "passes/lowering/gpu/Target.h"

namespace sinter {

/// kernel.func operations become llvm.func kernels with operations of llvm and nvvm.
void buildGpuLowering(mlir::OpPassManager &passes, gpu::Architecture architecture);

/// What --kernel-emit-gpu has noted on a kernel: "kernel.threads", "kernel.shared_bytes" and others.
inline int64_t notedNumber(mlir::Operation *kernel, llvm::StringRef name) {
  return kernel->getAttrOfType<mlir::IntegerAttr>(name).getInt();
}

/// Registers the dialects and interfaces that the lowering needs.
void registerGpuLowering(mlir::DialectRegistry &registry);

} // namespace sinter

#endif // SINTER_PASSES_LOWERING_GPUPIPELINE_H
