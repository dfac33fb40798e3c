// SPDX-License-Identifier: Apache-2.0
// kernel -> arith, math, vector, scf, amx, llvm -> llvm.
#include "passes/lowering/CpuPipeline.h"

#include "mlir/Dialect/AMX/AMXDialect.h"
#include "mlir/Dialect/AMX/Transforms.h"
#include "mlir/Dialect/X86Vector/X86VectorDialect.h"
#include "passes/Passes.h"
#include "passes/lowering/LlvmLowering.h"

namespace sinter {

void buildCpuLowering(mlir::OpPassManager &passes, cpu::Isa isa) {
  passes.addPass(createEmitCpuPass({cpu::nameOf(isa).str()}));
  mlir::ConvertVectorToLLVMPassOptions vectors;
  vectors.reassociateFPReductions = false; // each reduction says for itself
  vectors.amx = true;
  vectors.x86Vector = true;
  buildLlvmLowering(passes, vectors);
}

void registerCpuLowering(mlir::DialectRegistry &registry) {
  registerLlvmLowering(registry);
  registry.insert<mlir::amx::AMXDialect, mlir::x86vector::X86VectorDialect>();
  mlir::registerConvertAMXToLLVMInterface(registry);
}

} // namespace sinter
