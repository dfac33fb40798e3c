// SPDX-License-Identifier: Apache-2.0
// Every pass alone, on MLIR in text: what lit tests run.
#include "dialects/kernel/Kernel.h"
#include "dialects/lm/LmDialect.h"
#include "passes/Passes.h"
#include "passes/lowering/CpuPipeline.h"
#include "passes/lowering/GpuPipeline.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "mlir/Transforms/Passes.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  sinter::registerCpuLowering(registry);
  sinter::registerGpuLowering(registry);
  registry.insert<mlir::func::FuncDialect, sinter::lm::LmDialect, sinter::kernel::KernelDialect>();
  sinter::registerSinterPasses();
  mlir::registerTransformsPasses();
  mlir::PassPipelineRegistration<mlir::EmptyPipelineOptions> avx2(
      "cpu-avx2", "kernels to the llvm dialect, for AVX2",
      [](mlir::OpPassManager &passes) { sinter::buildCpuLowering(passes, sinter::cpu::Isa::Avx2); });
  mlir::PassPipelineRegistration<mlir::EmptyPipelineOptions> avx512(
      "cpu-avx512", "kernels to the llvm dialect, for AVX-512",
      [](mlir::OpPassManager &passes) { sinter::buildCpuLowering(passes, sinter::cpu::Isa::Avx512); });
  mlir::PassPipelineRegistration<mlir::EmptyPipelineOptions> avx512bf16(
      "cpu-avx512bf16", "kernels to the llvm dialect, for AVX-512 and AVX512-BF16",
      [](mlir::OpPassManager &passes) { sinter::buildCpuLowering(passes, sinter::cpu::Isa::Avx512Bf16); });
  mlir::PassPipelineRegistration<mlir::EmptyPipelineOptions> amx(
      "cpu-amx", "kernels to the llvm dialect, for AMX",
      [](mlir::OpPassManager &passes) { sinter::buildCpuLowering(passes, sinter::cpu::Isa::Amx); });
  mlir::PassPipelineRegistration<mlir::EmptyPipelineOptions> sm80(
      "gpu-sm80", "kernels to the llvm and nvvm dialects, for sm_80",
      [](mlir::OpPassManager &passes) { sinter::buildGpuLowering(passes, sinter::gpu::Architecture::Sm80); });
  return mlir::asMainReturnCode(mlir::MlirOptMain(argc, argv, "Sinter's passes\n", registry));
}
