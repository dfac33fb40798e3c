// SPDX-License-Identifier: Apache-2.0
// Parses, checks, and has functions on tensors lowered one by one.
#include "compiler/KernelFile.h"

#include "compiler/Pipeline.h"
#include "compiler/TensorFunction.h"
#include "passes/Passes.h"
#include "passes/lowering/CpuPipeline.h"
#include "runtime/Result.h"

#include "mlir/AsmParser/AsmParser.h"
#include "mlir/AsmParser/AsmParserState.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/SourceMgr.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace sinter {
namespace {

/// The names that a function's arguments have in the text, without their %.
std::vector<std::string> argumentNames(const AsmParserState &state, Block &block) {
  std::vector<std::string> names;
  if (const AsmParserState::BlockDefinition *definition = state.getBlockDef(&block))
    for (const AsmParserState::SMDefinition &argument : definition->arguments) {
      const char *begin = argument.loc.Start.getPointer(), *end = argument.loc.End.getPointer();
      names.push_back(StringRef(begin, end - begin).ltrim('%').str());
    }
  names.resize(block.getNumArguments());
  return names;
}

/// Beside a function stand those that pack its weights, its constants, and its kernels for each instruction
/// set: no other function may have their names.
LogicalResult checkNames(const std::string &path, ArrayRef<KernelFunction> functions) {
  llvm::StringSet<> taken;
  for (const KernelFunction &function : functions)
    taken.insert(function.name);
  for (const KernelFunction &function : functions) {
    std::vector<std::string> beside = definedFunctions(function);
    beside.erase(beside.begin()); // its own name
    for (const KernelLaunch &launch : function.launches)
      for (cpu::Isa isa : cpu::allIsas) {
        auto kernel = launch.kernel;
        beside.push_back((kernel.getName() + "_" + cpu::nameOf(isa)).str());
      }
    for (const std::string &name : beside)
      if (taken.contains(name)) {
        llvm::errs() << "error: " << path << ": expected no function '" << name
                     << "', a name that is declared beside '" << function.name << "'\n";
        return failure();
      }
  }
  return success();
}

} // namespace

void registerKernelFileDialects(DialectRegistry &registry) {
  registerCpuLowering(registry);
  registry.insert<func::FuncDialect, lm::LmDialect, kernel::KernelDialect>();
}

FailureOr<KernelFile> readKernelFile(MLIRContext &context, const std::string &path, bool gpu) {
  llvm::SourceMgr sources;
  SourceMgrDiagnosticHandler handler(sources, &context);
  std::string message;
  std::unique_ptr<llvm::MemoryBuffer> buffer = openInputFile(path, &message);
  if (!buffer) {
    llvm::errs() << "error: " << shortened(message) << "\n";
    return failure();
  }
  sources.AddNewSourceBuffer(std::move(buffer), llvm::SMLoc());
  OwningOpRef<ModuleOp> parsed = ModuleOp::create(UnknownLoc::get(&context));
  AsmParserState state;
  if (failed(parseAsmSourceFile(sources, parsed->getBody(),
                                ParserConfig(&context, /*verifyAfterParse=*/false), &state)))
    return failure();
  ModuleOp module = *parsed; // or the one that the file writes out
  if (auto inner =
          dyn_cast_if_present<ModuleOp>(parsed->getBody()->empty() ? nullptr : &parsed->getBody()->front()))
    module = inner;
  if (failed(verify(module)))
    return failure();

  KernelFile file;
  file.kernels = ModuleOp::create(module.getLoc());
  for (Operation &op : llvm::make_early_inc_range(*module.getBody())) {
    auto symbol = dyn_cast<SymbolOpInterface>(op);
    if (isa<lm::ParameterOp>(op))
      continue;
    if (!isa<kernel::FuncOp, func::FuncOp>(op))
      return op.emitOpError("expected kernel.func, func.func and lm.parameter only"), failure();
    if (!isCFunction(symbol.getName()))
      return op.emitOpError("expected a name that C and C++ leave to programs, found '")
                 << symbol.getName() << "'",
             failure();
    std::vector<std::string> names;
    if (!op.getRegion(0).empty())
      names = argumentNames(state, op.getRegion(0).front());
    if (auto function = dyn_cast<func::FuncOp>(op)) {
      FailureOr<KernelFunction> lowered = lowerTensorFunction(function, names, gpu, *file.kernels);
      if (failed(lowered))
        return failure();
      file.functions.push_back(std::move(*lowered));
      continue;
    }
    auto kernel = cast<kernel::FuncOp>(op);
    Operation *anchor = kernel.getAnchor();
    if (!gpu && isa<kernel::PeaksOp, kernel::SampleOp>(anchor))
      return anchor->emitOpError(
                 "expected a kernel of processors, found one of GPUs alone (--target=cuda:sm_80)"),
             failure();
    file.functions.push_back(makeKernelFunction(kernel, names));
    kernel->moveBefore(file.kernels->getBody(), file.kernels->getBody()->end());
  }
  if (file.functions.empty()) {
    llvm::errs() << "error: " << path << ": expected a function (kernel.func or func.func), found none\n";
    return failure();
  }
  if (failed(checkNames(path, file.functions)))
    return failure();
  PassManager passes(&context);
  addScheduleChoice(passes);
  return failed(passes.run(*file.kernels)) ? FailureOr<KernelFile>(failure())
                                           : FailureOr<KernelFile>(std::move(file));
}

} // namespace sinter
