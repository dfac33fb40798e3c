// SPDX-License-Identifier: Apache-2.0
// What a compilation may be asked for, each option once: commands fill these from their flags, all else reads
// them. Plain values, because lld, which links in this process, resets the flags themselves.
#ifndef SINTER_COMPILER_OPTIONS_H
#define SINTER_COMPILER_OPTIONS_H

#include "passes/lowering/cpu/Target.h"
#include "passes/lowering/gpu/Target.h"

#include <cstdint>
#include <string>
#include <vector>

namespace sinter {

struct PipelineOptions {
  /// Passes to leave out, by their flag ("lm-fuse-rope"); for tests and measurements.
  std::vector<std::string> skip;
  /// Element types of the cache to make entries for; the first is the default.
  std::vector<std::string> cacheTypes = {"f16", "bf16", "f32"};
  /// Rows of a prefill and of a decode step at most.
  int64_t prefillRows = 512, decodeRows = 16;
  /// Whether the stages make a training step; whether the kernels run on GPUs (too), whose activations are
  /// stored as tensor cores want them.
  bool train = false, gpu = false;
  /// Sequences of a training step, and tokens of each.
  int64_t batch = 8, sequence = 256;
  /// Weight of the balance loss of experts; negative: what the model's configuration says.
  double routerCoefficient = -1;
  /// Whether a training step multiplies matrices as bf16.
  bool roundProducts = false;
  /// Low-rank adapters to train instead of the model's weights; rank 0: none. No targets: all linear layers.
  int64_t adapterRank = 0;
  double adapterAlpha = 0; ///< what the adapters' products are multiplied by, times the rank
  std::vector<std::string> adapterTargets;
  std::string adapterPrefix; ///< of the model's modules, before the file's names
  /// --dropout: a share of what transformers drops, or "config": the shares that the configuration says.
  std::string dropout = "0";
  /// Whether activations are computed again in the backward pass.
  bool recompute = false;
};

/// Stages in order; each has its passes, which end with the IR that --emit shows. Train is one of
/// training only; Objects to Executable are the products.
enum class Stage {
  Import,
  Train,
  Fuse,
  Kernels,
  Memory,
  Target,
  Llvm,
  KernelTable,
  Objects,
  Ptx,
  Cubin,
  Library,
  Executable
};

struct CompileOptions {
  std::string program; // argv[0] of the process, for finding the link tree
  std::string model;   // folder or .gguf file
  std::string base;    // what an adapter says it is for; empty: the model
  std::string output;  // file, "-" or, for Objects to Library, a folder
  Stage stage = Stage::Executable;
  std::string weights = "keep"; // type to convert them to
  std::string weightsFile;      // where they go when not into the product
  std::vector<cpu::Isa> isas = {cpu::allIsas.begin(), cpu::allIsas.end()};
  std::vector<gpu::Architecture> gpus; // to make code for as well; none: the processor alone
  bool machineCode = true;             // for them where ptxas is found; else PTX alone
  bool persistent = false;             // whether a decode step on a GPU is one kernel
  PipelineOptions pipeline;
  unsigned threads = 1;
  bool verbose = false;
  bool json = false; // KernelTable as JSON
};

/// Whether a training step of `--dtype` auto, bf16 or f32 multiplies as bf16: auto does where each version
/// has AMX.
inline bool multipliesAsBf16(llvm::StringRef dtype, llvm::ArrayRef<cpu::Isa> isas) {
  return dtype == "bf16" ||
         (dtype == "auto" && llvm::all_of(isas, [](cpu::Isa isa) { return isa == cpu::Isa::Amx; }));
}

} // namespace sinter

#endif // SINTER_COMPILER_OPTIONS_H
