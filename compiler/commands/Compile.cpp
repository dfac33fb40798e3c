// SPDX-License-Identifier: Apache-2.0
// sinter compile: from a model to an executable, a library, or any stage between.
#include "compiler/Compilation.h"
#include "compiler/Pipeline.h"
#include "compiler/commands/Commands.h"
#include "compiler/commands/TargetFlag.h"
#include "compiler/commands/ThreadsFlag.h"
#include "frontend/WantedFormat.h"
#include "runtime/training/TrainingOptions.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>
#include <thread>

namespace cl = llvm::cl;

namespace sinter {
namespace {

struct CompileFlags {
  cl::OptionCategory category{"sinter compile"};
  cl::opt<std::string> model{cl::Positional, cl::desc("MODEL (folder or .gguf file)"), cl::Required,
                             cl::cat(category)};
  cl::opt<std::string> output{
      "o",
      cl::desc("Where the result goes (-: standard output; --lib, --emit=objects, ptx, cubin: a folder)"),
      cl::value_desc("path"), cl::Required, cl::cat(category)};
  cl::opt<bool> train{"train", cl::desc("Make a training step instead: an executable that trains"),
                      cl::cat(category)};
  cl::opt<int64_t> batch{"batch", cl::desc("With --train: sequences of a micro-step"), cl::init(16),
                         cl::cat(category)};
  cl::opt<int64_t> sequence{"seq", cl::desc("With --train: tokens of a sequence"), cl::init(256),
                            cl::cat(category)};
  cl::opt<double> routerLoss{
      "router-aux-loss",
      cl::desc("With --train: weight of the balance loss of experts (the configuration's, where "
               "output_router_logits is true; else 0)"),
      cl::init(-1), cl::cat(category)};
  cl::opt<int64_t> adapterRank{
      "lora",
      cl::desc("With --train: train low-rank adapters of this rank, and leave the weights as they are"),
      cl::value_desc("rank"), cl::cat(category)};
  cl::opt<double> adapterAlpha{
      "lora-alpha",
      cl::desc("With --lora: what adapters are multiplied by, times the rank (twice the "
               "rank)"),
      cl::init(0), cl::cat(category)};
  cl::opt<std::string> adapterTargets{
      "lora-targets",
      cl::desc("With --lora: modules that get adapters, by the ends of their names (all-linear: all linear "
               "layers but the head)"),
      cl::init("all-linear"), cl::cat(category)};
  cl::opt<std::string> dropout{
      "dropout",
      cl::desc("With --train: share of activations to drop, or config: the shares of the "
               "configuration (0)"),
      cl::init("0"), cl::cat(category)};
  cl::opt<bool> recompute{
      "recompute", cl::desc("With --train: compute activations again in the backward pass, in less memory"),
      cl::cat(category)};
  cl::opt<std::string> dtype{
      "dtype",
      cl::desc(
          "With --train: what matrices are multiplied as: f32, bf16 (sums and weights stay f32), auto (bf16 "
          "where every version has AMX)"),
      cl::init("auto"), cl::cat(category)};
  cl::opt<std::string> emit{"emit",
                            cl::desc("Stage to stop at: import, train (with --train), fuse, kernels, memory, "
                                     "target, llvm, objects, ptx, cubin, exe"),
                            cl::init("exe"), cl::cat(category)};
  cl::opt<bool> library{"lib", cl::desc("Make a static and a shared library with a C header"),
                        cl::cat(category)};
  cl::opt<std::string> weights{"weights", cl::desc("Type of weights: keep, f32, bf16, f16, q8_0, q4_0, q4_1"),
                               cl::init("keep"), cl::cat(category)};
  cl::opt<std::string> weightsFile{"weights-file", cl::desc("Keep the weights outside, in this file"),
                                   cl::value_desc("path"), cl::cat(category)};
  cl::opt<std::string> target{
      "target",
      cl::desc("cpu: versions for AVX2, AVX-512, AVX512-BF16 and AMX; cpu:native: for this machine; "
               "cpu:avx2, cpu:avx512, cpu:avx512bf16, cpu:amx: one version; cuda: GPUs too; "
               "cuda:sm_80, cuda:sm_90a: one architecture of them"),
      cl::init("cpu"), cl::cat(category)};
  cl::opt<bool> persistent{
      "persistent",
      cl::desc("With --target=cuda: a decode step is one kernel instead of a graph of launches"),
      cl::cat(category)};
  cl::list<std::string> skip{"skip-pass", cl::desc("Leave out a pass, by its flag"), cl::CommaSeparated,
                             cl::cat(category)};
  ThreadsFlag threads{category};
  cl::opt<bool> verbose{"v", cl::desc("Say what is done, what was fused and how long it took"),
                        cl::cat(category)};
};

/// Says what is wrong; gives the exit code: 2, wrong usage.
int wrong(const llvm::Twine &message, int code = 2) {
  llvm::errs() << "error: " << shortened(message.str()) << "\n";
  return code;
}

/// Whether the flag was given.
template <typename Flag> bool given(const Flag &flag) { return flag.getNumOccurrences() > 0; }

bool isPtxOrCubin(Stage stage) { return stage == Stage::Ptx || stage == Stage::Cubin; }

/// What belongs to --train alone: looks at it, and fills it in. 0, or the exit code.
int readTraining(const CompileFlags &flags, CompileOptions &options) {
  if ((given(flags.batch) || given(flags.sequence)) && !flags.train)
    return wrong("expected --batch and --seq together with --train, found them alone");
  if (given(flags.routerLoss) && (!flags.train || !(flags.routerLoss >= 0)))
    return wrong("--router-aux-loss: expected a number of at least 0, together with --train");
  if (given(flags.dtype) && !flags.train)
    return wrong("--dtype: expected it together with --train, found it alone");
  if (flags.dtype != "auto" && flags.dtype != "bf16" && flags.dtype != "f32")
    return wrong("--dtype: expected auto, bf16 or f32, found '" + flags.dtype + "'");
  if (given(flags.adapterRank) && (!flags.train || flags.adapterRank < 1))
    return wrong("--lora: expected a rank of at least 1, together with --train");
  if ((given(flags.adapterAlpha) || given(flags.adapterTargets)) && !given(flags.adapterRank))
    return wrong("--lora-alpha, --lora-targets: expected --lora with them, found them alone");
  if (given(flags.adapterAlpha) && !(flags.adapterAlpha > 0))
    return wrong("--lora-alpha: expected a number above 0");
  Result<std::vector<std::string>> targets = training::parseAdapterTargets(flags.adapterTargets);
  if (!targets)
    return wrong("--lora-targets: " + targets.error().message);
  Result<std::string> dropout = training::parseDropout(flags.dropout);
  if (!dropout)
    return wrong("--dropout: " + dropout.error().message);
  if ((given(flags.dropout) || flags.recompute) && !flags.train)
    return wrong("expected --dropout and --recompute together with --train, found them alone");
  if (options.stage == Stage::Train && !flags.train)
    return wrong("--emit=train: expected --train, found a compilation for inference");
  bool isKernels = options.stage == Stage::Objects || isPtxOrCubin(options.stage);
  if (flags.train && (flags.library || isKernels || !flags.weightsFile.empty() || given(flags.weights)))
    return wrong("--train: expected neither --lib, --weights, --weights-file nor --emit=objects, ptx, cubin, "
                 "found one of them");
  constexpr int64_t mostRows = int64_t(1) << 20;
  if (flags.batch < 1 || flags.sequence < 1 || flags.batch > mostRows / flags.sequence)
    return wrong("--batch, --seq: expected numbers from 1 on whose product is at most " +
                 llvm::Twine(mostRows) + ", found " + llvm::Twine(flags.batch) + " and " +
                 llvm::Twine(flags.sequence));
  options.pipeline.train = flags.train;
  options.pipeline.batch = flags.batch;
  options.pipeline.sequence = flags.sequence;
  options.pipeline.routerCoefficient = flags.routerLoss;
  options.pipeline.dropout = *dropout;
  options.pipeline.recompute = flags.recompute;
  options.pipeline.adapterRank = flags.adapterRank;
  options.pipeline.adapterAlpha =
      flags.adapterAlpha > 0 ? double(flags.adapterAlpha) : training::usualAdapterAlpha(flags.adapterRank);
  options.pipeline.adapterTargets = *targets;
  return 0;
}

/// --target, and what asks for one. 0, or the exit code.
int readTargets(const CompileFlags &flags, CompileOptions &options) {
  constexpr const char *gpuTargets = "--target=cuda, cuda:sm_80 or cuda:sm_90a";
  Result<Targets> targets = readTarget(flags.target.getValue());
  if (!targets)
    return wrong(targets.error().message);
  options.isas = targets->isas;
  options.gpus = targets->gpus;
  options.pipeline.gpu = !options.gpus.empty();
  options.persistent = flags.persistent;
  if (flags.persistent && options.gpus.empty())
    return wrong(llvm::Twine("--persistent: expected ") + gpuTargets + ", found '" + flags.target + "'");
  if (flags.persistent && (flags.train || isPtxOrCubin(options.stage)))
    return wrong("--persistent: expected an executable or a library that writes text, found --" +
                 (flags.train ? std::string("train") : "emit=" + flags.emit.getValue()));
  if (isPtxOrCubin(options.stage) && options.gpus.empty())
    return wrong("--emit=" + flags.emit + ": expected " + gpuTargets + ", found '" + flags.target + "'");
  if (options.stage == Stage::Objects && !options.gpus.empty())
    return wrong(
        "--emit=objects: expected a processor as --target (GPUs have --emit=ptx and --emit=cubin), found '" +
        flags.target + "'");
  options.pipeline.roundProducts = flags.train && multipliesAsBf16(flags.dtype, options.isas);
  return 0;
}

/// 0, or the exit code.
int readOptions(const CompileFlags &flags, CompileOptions &options) {
  options.model = flags.model;
  options.output = flags.output;
  std::optional<Stage> stage = stageByName(flags.emit);
  if (!stage)
    return wrong("--emit: expected import, fuse, kernels, memory, target, llvm, objects, ptx, cubin or exe, "
                 "found '" +
                 flags.emit + "'");
  if (flags.library && given(flags.emit))
    return wrong("expected --lib or --emit, found both");
  options.stage = flags.library ? Stage::Library : *stage;
  if (int code = readTraining(flags, options))
    return code;
  if (options.stage >= Stage::Objects && options.output == "-")
    return wrong("-o -: expected the path of a file or folder for what programs are made of, found standard "
                 "output",
                 1);
  if (options.stage < Stage::Objects && !flags.weightsFile.empty())
    return wrong("--weights-file: expected a result that needs weights, found --emit=" + flags.emit);
  if (given(flags.weightsFile) && (flags.weightsFile.empty() || flags.weightsFile == "-"))
    return wrong("--weights-file: expected the path of a file, found '" + flags.weightsFile + "'");
  options.weights = flags.weights;
  options.weightsFile = flags.weightsFile;
  if (int code = readTargets(flags, options))
    return code;
  if (Result<const BlockFormat *> wanted = wantedWeights(options.weights); !wanted)
    return wrong(wanted.error().message);
  for (const std::string &flag : flags.skip)
    if (!isPipelinePass(flag))
      return wrong("--skip-pass: expected the flag of a pass of the pipeline, found '" + flag + "'");
  options.pipeline.skip.assign(flags.skip.begin(), flags.skip.end());
  if (flags.weights == "f32")
    options.pipeline.cacheTypes = {"f32"};
  options.threads =
      flags.threads ? unsigned(flags.threads) : std::max(1u, std::thread::hardware_concurrency());
  options.verbose = flags.verbose;
  return 0;
}

} // namespace

int compileCommand(const Invocation &invocation) {
  CompileFlags flags;
  mlir::registerAsmPrinterCLOptions();
  mlir::registerMLIRContextCLOptions();
  mlir::registerPassManagerCLOptions();
  mlir::registerDefaultTimingManagerCLOptions();
  if (!parseFlags(
          invocation,
          "Compiles a model into an executable. --help-hidden shows the flags of MLIR too: --mlir-timing,\n"
          "--mlir-print-ir-after-all, ...\n"))
    return 2;
  CompileOptions options;
  options.program = invocation.program;
  if (int code = readOptions(flags, options))
    return code;
  return Compilation(std::move(options)).run() ? 0 : 1;
}

} // namespace sinter
