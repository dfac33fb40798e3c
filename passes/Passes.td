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

def FuseExpertsPass : Pass<"lm-fuse-experts", "::mlir::func::FuncOp"> {
  let summary = "Puts the layers of experts that read one input, and what follows them, into one group";
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

def FuseRowsPass : Pass<"lm-fuse-rows", "::mlir::func::FuncOp"> {
  let summary = "Joins operations on whole rows that read one another or the same rows, backward ones too";
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
  let description = [{
    For a CPU, kernels that have a schedule keep it. For a GPU, matmuls and the attention of prefill get another in its
    place; what has no rows_per_tile stays so.
  }];
  let options = [Option<"gpu", "gpu", "bool", "false", "For GPUs: tiles of one block of threads">];
}

def NarrowActivationsPass : Pass<"kernel-narrow-activations", "::mlir::ModuleOp"> {
  let summary = "Stores rows that matmuls of 16-bit weights read in the weights' type, for tensor cores";
  let description = [{
    After --kernel-choose-schedules: matmuls over many rows (with `rows_per_tile`) alone. Where others read the
    rows, too, attention writes them or the caller brings them, a launch of its own makes a rounded copy.
  }];
  let dependentDialects = ["::sinter::kernel::KernelDialect"];
}

def AddSamplingPass : Pass<"kernel-add-sampling", "::mlir::ModuleOp"> {
  let summary = "Adds the entry sample, which draws tokens from the logits that the other entries leave";
  let description = [{
    For devices that keep logits: kernel.peaks, then kernel.sample. It is an entry of its own, since it follows the
    last launches of prefill and decode alike, and has an arena of its own, since those may be run again after it.
  }];
  let dependentDialects = ["::sinter::kernel::KernelDialect"];
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
  let options = [Option<"isa", "isa", "std::string", "\"avx2\"", "avx2, avx512, avx512bf16 or amx">];
}

def EmitGpuPass : Pass<"kernel-emit-gpu", "::mlir::ModuleOp"> {
  let summary = "Turns each kernel.func into a GPU kernel for an architecture";
  let description = [{
    After it the module holds llvm, nvvm, scf, arith, math and vector. kernel.entry is dropped: the tables of
    launches are made from the module before this pass. The attributes kernel.threads, kernel.shared_bytes and
    kernel.blocks_per_sm of a function say how to launch it.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::scf::SCFDialect", "::mlir::vector::VectorDialect"];
  let options = [Option<"architecture", "architecture", "std::string", "\"sm_80\"", "sm_80 or sm_90a">];
}

def MakePersistentPass : Pass<"kernel-make-persistent", "::mlir::ModuleOp"> {
  let summary = "Makes one GPU kernel that runs all launches of a step, from a table of tasks that wait for each other";
  let description = [{
    After --kernel-emit-gpu. The module's attribute kernel.persistent lists what to make: a name, how many tasks there
    are at most, and the kernels in the order of their numbers. Without the attribute nothing is done. Kernels with
    kernel.most_threads are there for this alone and are dropped.
  }];
  let dependentDialects = ["::mlir::LLVM::LLVMDialect", "::mlir::NVVM::NVVMDialect", "::mlir::arith::ArithDialect",
                           "::mlir::scf::SCFDialect"];
  let options = [Option<"architecture", "architecture", "std::string", "\"sm_80\"", "sm_80 or sm_90a">];
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

//===-- Training (passes/training): from logits to the launches of a micro-step and an update ----------------===//

def AddLossPass : Pass<"lm-add-loss", "::mlir::ModuleOp"> {
  let summary = "Makes the function forward, which gives logits, the function train, which gives the loss";
  let dependentDialects = ["::sinter::lm::LmDialect"];
  let options = [Option<"routerCoefficient", "router-coefficient", "double", "0.0",
                        "Weight of the balance loss of a mixture of experts">];
}

def AddAdaptersPass : Pass<"lm-add-adapters", "::mlir::ModuleOp"> {
  let summary = "Gives linear layers of the function forward low-rank adapters, and leaves nothing else to train";
  let description = [{
    An adapter's parameters have the attribute `lm.adapter`, and the names by which PEFT saves them as their source; the
    parameter beside which they are lists them in `lm.adapters`, A and B.
  }];
  let dependentDialects = ["::sinter::lm::LmDialect"];
  let options = [
    Option<"rank", "rank", "int64_t", "16", "Rows of A, columns of B">,
    Option<"factor", "factor", "double", "1.0", "What the product is multiplied by: alpha / rank">,
    ListOption<"targets", "targets", "std::string", "Modules, or ends of their names; none: all linear layers but the head">,
    Option<"prefix", "prefix", "std::string", "\"\"", "What stands in front of the file's names in the model's modules">];
}

def DifferentiatePass : Pass<"lm-differentiate", "::mlir::ModuleOp"> {
  let summary = "Makes a function that returns a loss return the gradients of the loss by the trained parameters too";
  let description = [{
    The gradients are further results, in the order in which the module declares the parameters; the attribute
    lm.gradient of a result names its parameter. Attention's log_sum_exp becomes a result of the forward
    operation. Quantised parameters that the loss depends on must be marked as not trainable.
  }];
  let dependentDialects = ["::sinter::lm::LmDialect", "::mlir::arith::ArithDialect"];
  let options = [Option<"function", "function", "std::string", "\"forward\"", "The function that returns a loss">];
}

def SplitNormGradientsPass : Pass<"lm-split-norm-gradients", "::mlir::func::FuncOp"> {
  let summary = "Makes the gradient of a norm's weight a program on rows and a sum over columns";
  let dependentDialects = ["::sinter::lm::LmDialect"];
}

def JoinColumnsPass : Pass<"lm-join-columns", "::mlir::func::FuncOp"> {
  let summary = "Makes a sum of tensors that each fill some columns of zeros one concatenation";
  let dependentDialects = ["::sinter::lm::LmDialect"];
}

def AddAllReducePass : Pass<"lm-add-all-reduce", "::mlir::func::FuncOp"> {
  let summary = "Makes the gradients that a function returns their sums over the ranks of data-parallel training";
  let dependentDialects = ["::sinter::lm::LmDialect"];
  let options = [Option<"ranks", "ranks", "int64_t", "1", "Processes that train on different sequences">];
}

def RecomputePass : Pass<"lm-recompute", "::mlir::func::FuncOp"> {
  let summary = "Computes the activations of layers again in the backward pass instead of keeping them";
  let description = [{
    Of each layer but the last only what later layers read stays alive from the forward to the backward pass. An operation
    belongs to the layer N of the last parameter `layers.N....` that it depends on. For functions with lm.form alone.
  }];
  let dependentDialects = ["::sinter::lm::LmDialect"];
}

def RepeatActivationsPass : Pass<"lm-repeat-activations", "::mlir::func::FuncOp"> {
  let summary = "Makes what groups of rows can make of rows that they read anyway in each of them, instead of keeping it";
  let dependentDialects = ["::sinter::lm::LmDialect"];
}

def TrainToKernelPass : Pass<"lm-train-to-kernel", "::mlir::ModuleOp"> {
  let summary = "Turns the differentiated function train into the entry of a micro-step";
  let description = [{
    The rows of the step are known: batch * sequence. What works on logits is launched once for each chunk of rows, so
    that logits of a chunk alone are in memory. Gradients of parameters are added up in the order of the launches.
  }];
  let dependentDialects = ["::sinter::kernel::KernelDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
  let options = [
    Option<"batch", "batch", "int64_t", "1", "Sequences of a micro-step">,
    Option<"sequence", "sequence", "int64_t", "64", "Tokens of a sequence">,
    Option<"chunkBytes", "chunk-bytes", "int64_t", "67108864", "Bytes of logits in memory, about">];
}

def RoundProductsPass : Pass<"kernel-round-products", "::mlir::ModuleOp"> {
  let summary = "Makes the products of matrices of a training step take their factors as bf16";
}

def NarrowFactorsPass : Pass<"kernel-narrow-factors", "::mlir::ModuleOp"> {
  let summary = "Keeps rows that only products with rounded factors read as bf16";
  let dependentDialects = ["::sinter::kernel::KernelDialect"];
}

def PrepareGradientsPass : Pass<"kernel-prepare-gradients", "::mlir::ModuleOp"> {
  let summary = "Launches the backward pass of attention with rounded factors twice: the gradients by queries prepare those by keys";
  let dependentDialects = ["::sinter::kernel::KernelDialect"];
}

def AddUpdatesPass : Pass<"kernel-add-updates", "::mlir::ModuleOp"> {
  let summary = "Gives parameters their places in the images, and makes the entries norm, adamw and sgd";
  let description = [{
    Parameters that decay come first, so that an update is a launch for them and one for the others. The place of a
    parameter is its attribute kernel.offset (in floats); kernel.image_floats and kernel.decay_floats of the module say
    how long the image and its first part are.
  }];
  let dependentDialects = ["::sinter::kernel::KernelDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::vector::VectorDialect"];
}

//===-- Verification (passes/verify): the reference evaluator on random data, for tests ----------------------===//

def ComparePass : Pass<"lm-compare", "::mlir::ModuleOp"> {
  let summary = "Runs a pipeline and checks by the reference evaluator that no function computes anything else after it";
  let description = [{
    Every function with a body is evaluated on random parameters and inputs, with 1, 3 and 17 rows of several
    sequences. A function that got a cache is run in two steps, and one that got an argument that selects rows
    returns some of them. What an argument of integers means follows from its uses. Says `same` as a remark; it
    is an error when an element differs by more than `tolerance` times the greatest element of its result.
  }];
  let options = [
    Option<"pipeline", "pipeline", "std::string", "\"\"", "The passes to run">,
    Option<"tolerance", "tolerance", "double", "1e-9", "Greatest difference; all arithmetic is f64">,
    Option<"seed", "seed", "uint64_t", "1", "Of the random numbers">];
}

def CheckGradientsPass : Pass<"lm-check-gradients", "::mlir::ModuleOp"> {
  let summary = "Differentiates and checks every gradient against central differences of the loss";
  let description = [{
    All by the reference evaluator in f64, on random parameters and inputs of 17 rows in three sequences. Checks up
    to `elements` elements a parameter, drawn at random. The difference counts relative to the greatest of the
    parameter's gradients.
  }];
  let dependentDialects = ["::sinter::lm::LmDialect", "::mlir::arith::ArithDialect"];
  let options = [
    Option<"tolerance", "tolerance", "double", "1e-6", "Greatest relative difference">,
    Option<"elements", "elements", "int64_t", "40", "Elements checked a parameter, at most">,
    Option<"seed", "seed", "uint64_t", "1", "Of the random numbers">];
}

#endif // SINTER_PASSES_PASSES_TD
