// SPDX-License-Identifier: Apache-2.0
// sinter kernel: functions written in MLIR into an object that C and C++ call, or into PTX.
#include "compiler/GpuProduct.h"
#include "compiler/KernelFile.h"
#include "compiler/KernelProduct.h"
#include "compiler/commands/Commands.h"
#include "compiler/commands/TargetFlag.h"
#include "compiler/commands/ThreadsFlag.h"

#include "mlir/IR/AsmState.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

namespace cl = llvm::cl;
using namespace mlir;

namespace sinter {

static FailureOr<Result<>> writeForGpus(const LinkTree &tree, KernelFile &file,
                                        llvm::ArrayRef<gpu::Architecture> gpus, const std::string &folder) {
  GpuProduct product;
  for (gpu::Architecture architecture : gpus) {
    FailureOr<CudaKernels> kernels = compileCudaKernels(*file.kernels, {architecture});
    if (failed(kernels))
      return failure();
    product.code.push_back({architecture, std::move(*kernels), std::nullopt});
  }
  product.functions = std::move(file.functions);
  return writeGpuKernels(tree, product, GpuForm::Ptx, folder);
}

static LogicalResult compileFile(const std::string &program, const std::string &path,
                                 const std::string &folder, const Targets &targets, unsigned threads) {
  DialectRegistry registry;
  registerKernelFileDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  context.printOpOnDiagnostic(false); // the place in the file says it
  FailureOr<KernelFile> file = readKernelFile(context, path, !targets.gpus.empty());
  if (failed(file))
    return failure();
  Result<LinkTree> tree = LinkTree::find(program);
  if (!tree) {
    llvm::errs() << "error: " << tree.error().message << "\n";
    return failure();
  }
  if (!targets.gpus.empty()) {
    FailureOr<Result<>> written = writeForGpus(*tree, *file, targets.gpus, folder);
    if (succeeded(written) && !*written)
      llvm::errs() << "error: " << written->error().message << "\n";
    return success(succeeded(written) && written->has_value());
  }
  FailureOr<CpuKernels> kernels = compileKernels(*file->kernels, {targets.isas, threads});
  if (failed(kernels))
    return failure();
  KernelProduct product;
  product.functions = std::move(file->functions);
  for (KernelFunction &function : product.functions)
    for (const KernelLaunch &launch : function.launches) {
      auto kernel = launch.kernel;
      function.scratchBytes =
          std::max(function.scratchBytes, kernels->scratchBytes.at(kernel.getName().str()));
    }
  product.kernels = std::move(kernels->objects);
  product.isas = targets.isas;
  product.oneObject = true;
  Result<> written = writeKernels(*tree, product, folder);
  if (!written)
    llvm::errs() << "error: " << written.error().message << "\n";
  return success(written.has_value());
}

int kernelCommand(const Invocation &invocation) {
  // These live until the end: lld resets all flags of the process, and their values with them.
  cl::OptionCategory category("sinter kernel");
  cl::opt<std::string> file(cl::Positional, cl::desc("FILE.mlir (-: standard input)"), cl::Required,
                            cl::cat(category));
  cl::opt<std::string> folder("o",
                              cl::desc("Folder for the object, the header and the manifest, named after it"),
                              cl::value_desc("folder"), cl::Required, cl::cat(category));
  cl::opt<std::string> target("target",
                              cl::desc("cpu, cpu:native, cpu:avx2, cpu:avx512, cpu:avx512bf16, cpu:amx; "
                                       "cuda, cuda:sm_80, cuda:sm_90a: PTX for GPUs"),
                              cl::init("cpu"), cl::cat(category));
  ThreadsFlag threads(category);
  registerAsmPrinterCLOptions();
  registerPassManagerCLOptions();
  if (!parseFlags(invocation,
                  "Compiles functions of the dialects kernel and lm into an object for C and C++.\n"))
    return 2;
  Result<Targets> targets = readTarget(target.getValue());
  if (!targets) {
    llvm::errs() << "error: " << targets.error().message << "\n";
    return 2;
  }
  std::string path = file, output = folder;
  if (output == "-") {
    llvm::errs() << "error: -o -: expected a folder, found standard output\n";
    return 1;
  }
  return succeeded(compileFile(invocation.program, path, output, *targets, threads)) ? 0 : 1;
}

} // namespace sinter
