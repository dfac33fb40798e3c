// SPDX-License-Identifier: Apache-2.0
// The table of contents of the compiler: every pass, in the order of the pipeline (compiler/Pipeline.cpp).
#ifndef SINTER_PASSES_PASSES_TD
#define SINTER_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

//===-- Inference (passes/inference): from the pure graph to the entries of an executable --------------------===//

def UseCachePass : Pass<"lm-use-cache", "::mlir::func::FuncOp"> {
  let summary = "Makes attention read a cache of earlier tokens, and returns the logits of selected rows";
  let dependentDialects = ["::sinter::lm::LmDialect"];
}

def SelectLogitsPass : Pass<"lm-select-logits", "::mlir::func::FuncOp"> {
  let summary = "Moves the selection of rows up, so that the last layers run on wanted rows only";
}

def MakeEntriesPass : Pass<"lm-make-entries", "::mlir::ModuleOp"> {
  let summary = "Makes the entries prefill and decode out of the function forward";
}

//===-- Fusion (passes/fusion): operations move into lm.group, one group a kernel ----------------------------===//

def FuseGateUpPass : Pass<"lm-fuse-gate-up", "::mlir::func::FuncOp"> {
  let summary = "Puts the two linear layers of a gated feed-forward layer and their product into one group";
}

def FuseQkvPass : Pass<"lm-fuse-qkv", "::mlir::ModuleOp"> {
  let summary = "Stacks the weights of linear layers that feed attention from one input";
  let dependentDialects = ["::sinter::lm::LmDialect"];
}

def FuseRopePass : Pass<"lm-fuse-rope", "::mlir::func::FuncOp"> {
  let summary = "Makes norms of heads and rotary positions the epilogue of the matmul before them";
}

def FuseAppendPass : Pass<"lm-fuse-append", "::mlir::func::FuncOp"> {
  let summary = "Lets the matmul that makes keys and values store them in the cache";
}

def FuseEpiloguePass : Pass<"lm-fuse-epilogue", "::mlir::func::FuncOp"> {
  let summary = "Makes activations, scales and the addition of residuals the epilogue of the matmul before them";
}

def FuseResidualNormPass : Pass<"lm-fuse-residual-norm", "::mlir::func::FuncOp"> {
  let summary = "Joins the addition of a residual and the norm after it; in decode, into the next matmul";
}

def FuseEmbeddingPass : Pass<"lm-fuse-embedding", "::mlir::func::FuncOp"> {
  let summary = "Does what follows an embedding lookup row by row while the row is read";
}

def GroupRestPass : Pass<"lm-group-rest", "::mlir::func::FuncOp"> {
  let summary = "Makes every operation that is in no group a group of its own";
}

//===-- Kernels (passes/kernels): groups become kernels and launches -----------------------------------------===//

def LmToKernelPass : Pass<"lm-to-kernel", "::mlir::ModuleOp"> {
  let summary = "Turns groups into kernels (equal ones once) and functions into entries with launches";
  let dependentDialects = ["::sinter::kernel::KernelDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
  let options = [
    ListOption<"cacheTypes", "cache-types", "std::string", "Element types of the cache: f16, bf16, f32">,
    Option<"prefillRows", "prefill-rows", "int64_t", "512", "Rows of a prefill step at most">,
    Option<"decodeRows", "decode-rows", "int64_t", "16", "Rows of a decode step at most">];
}

def ChooseSchedulesPass : Pass<"kernel-choose-schedules", "::mlir::ModuleOp"> {
  let summary = "Cuts matmuls into tiles: whole rows of the step in decode, blocks of rows in prefill";
}

def PlanMemoryPass : Pass<"kernel-plan-memory", "::sinter::kernel::EntryOp"> {
  let summary = "Gives every activation buffer its place in the arena, by the launches it lives between";
}

//===-- Lowering (passes/lowering): kernels become the llvm dialect ------------------------------------------===//

def EmitCpuPass : Pass<"kernel-emit-cpu", "::mlir::ModuleOp"> {
  let summary = "Turns each kernel.func into a C function for an instruction set of x86-64";
  let description = [{
    After it the module holds llvm, scf, arith, math and vector. kernel.entry is dropped: the tables of
    launches are made from the module before this pass. The attribute kernel.scratch_bytes of a function says
    how much scratch a thread needs.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect", "::mlir::amx::AMXDialect"];
  let options = [Option<"isa", "isa", "std::string", "\"avx2\"", "avx2, avx512 or amx">];
}

def LowerMathPass : Pass<"lower-math"> {
  let summary = "Turns exp, exp2, tanh, erf, log, sin and cos of f32 into arithmetic";
  let description = [{
    No call of the C library is left. Errors: at most 2 ulp for exp, exp2, tanh, erf and log, 1 ulp for sin and
    cos up to |x| = 2^31 (reduced and evaluated in f64). Infinities and NaN are as in C.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
                           "::mlir::vector::VectorDialect"];
}

#endif // SINTER_PASSES_PASSES_TD
