// SPDX-License-Identifier: Apache-2.0
// What the pipelines of all targets end with, once an emitter has run.
#ifndef SINTER_PASSES_LOWERING_LLVMLOWERING_H
#define SINTER_PASSES_LOWERING_LLVMLOWERING_H

#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVMPass.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Pass/PassManager.h"

namespace sinter {

/// arith, math, vector, scf -> llvm; what a target has besides converts itself.
void buildLlvmLowering(mlir::OpPassManager &passes, const mlir::ConvertVectorToLLVMPassOptions &vectors);

/// The dialects and conversions for it.
void registerLlvmLowering(mlir::DialectRegistry &registry);

} // namespace sinter

#endif // SINTER_PASSES_LOWERING_LLVMLOWERING_H
