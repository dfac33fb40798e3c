// SPDX-License-Identifier: Apache-2.0
// sinter kernels: what the GPU kernels of a model take of a multiprocessor, and what a launch of each counts.
#include "compiler/Compilation.h"
#include "compiler/KernelTable.h"
#include "compiler/commands/Commands.h"
#include "compiler/commands/TargetFlag.h"
#include "frontend/WantedFormat.h"

#include "mlir/Pass/PassManager.h"
#include "mlir/Support/Timing.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;

namespace sinter {
namespace {

struct KernelsFlags {
  cl::OptionCategory category{"sinter kernels"};
  cl::opt<std::string> model{cl::Positional, cl::desc("MODEL (folder or .gguf file)"), cl::Required,
                             cl::cat(category)};
  cl::opt<std::string> target{"target",
                              cl::desc("cuda: all architectures; cuda:sm_80, cuda:sm_90a: one of them"),
                              cl::init("cuda"), cl::cat(category)};
  cl::opt<std::string> weights{"weights", cl::desc("Type of weights: keep, f32, bf16, f16, q8_0, q4_0, q4_1"),
                               cl::init("keep"), cl::cat(category)};
  cl::opt<bool> persistent{"persistent", cl::desc("Kernels that run a whole decode step, too"),
                           cl::cat(category)};
  cl::opt<bool> json{"json", cl::desc("All of it as JSON"), cl::cat(category)};
};

} // namespace

int kernelsCommand(const Invocation &invocation) {
  KernelsFlags flags;
  mlir::registerPassManagerCLOptions(); // the passes ask for them
  mlir::registerDefaultTimingManagerCLOptions();
  if (!parseFlags(invocation, kernelTableHelp))
    return 2;
  CompileOptions options;
  options.program = invocation.program;
  options.model = flags.model;
  options.output = "-";
  options.stage = Stage::KernelTable;
  options.json = flags.json;
  options.persistent = flags.persistent;
  options.pipeline.gpu = true;
  options.weights = flags.weights;
  if (flags.weights == "f32")
    options.pipeline.cacheTypes = {"f32"};
  if (Result<const BlockFormat *> wanted = wantedWeights(options.weights); !wanted) {
    llvm::errs() << "error: " << wanted.error().message << "\n";
    return 2;
  }
  Result<Targets> targets = readTarget(flags.target.getValue());
  if (!targets || targets->gpus.empty()) {
    llvm::errs() << "error: --target: expected cuda, cuda:sm_80 or cuda:sm_90a, found '"
                 << shortened(flags.target.getValue()) << "'\n";
    return 2;
  }
  options.gpus = targets->gpus;
  return Compilation(std::move(options)).run() ? 0 : 1;
}

} // namespace sinter
