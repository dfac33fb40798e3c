// SPDX-License-Identifier: Apache-2.0
// Parses, checks, and lowers functions on tensors one by one, each in a module of its own.
#include "compiler/KernelFile.h"

#include "compiler/Pipeline.h"
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

/// One func.func on its way to a KernelFunction.
class TensorFunction {
public:
  TensorFunction(func::FuncOp function, std::vector<std::string> names)
      : original(function), names(std::move(names)) {}

  /// Appends its kernels and itself to `file`.
  LogicalResult lower(KernelFile &file, bool gpu);

private:
  /// What an argument in C is: activations by the number of the argument or result, or a parameter by its
  /// symbol.
  struct Slot {
    std::string name, parameter;
    int64_t argument = -1, result = -1;
    Type type;
  };

  LogicalResult check();
  void isolate();
  LogicalResult collect(KernelFile &file);
  Slot *slotOf(kernel::BufferOp buffer);

  func::FuncOp original;
  std::vector<std::string> names;
  OwningOpRef<ModuleOp> module;
  func::FuncOp function; // in `module`
  std::vector<Slot> slots;
};

bool isActivation(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.isDynamicDim(0) && !tensor.isDynamicDim(1) &&
         tensor.getElementType().isF32();
}

bool isWeight(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape())
    return false;
  return tensor.getRank() == 2 || (tensor.getRank() == 1 && tensor.getElementType().isF32());
}

LogicalResult TensorFunction::check() {
  if (original.isExternal())
    return original.emitOpError("expected a body, found a declaration");
  for (BlockArgument argument : original.getArguments())
    if (!isActivation(argument.getType()) && !isWeight(argument.getType()))
      return emitError(argument.getLoc()) << "expected an argument to be activations (tensor<?xNxf32>), a "
                                             "vector (tensor<Nxf32>) or a weight "
                                             "(tensor<MxN...>), found "
                                          << argument.getType();
  if (original.getNumResults() == 0)
    return original.emitOpError("expected results, found none");
  for (Type type : original.getResultTypes())
    if (!isActivation(type))
      return original.emitOpError("expected results to be activations (tensor<?xNxf32>), found ") << type;
  Operation *terminator = original.getBody().front().getTerminator();
  llvm::SmallPtrSet<Value, 4> returned;
  for (Value value : terminator->getOperands())
    if (isa<BlockArgument>(value) || !returned.insert(value).second)
      return terminator->emitOpError("expected each result to be computed by an operation of its own");
  return success();
}

/// Into a module of its own, in which weights are parameters.
void TensorFunction::isolate() {
  module = ModuleOp::create(original.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  for (auto parameter : original->getParentOp()->getRegion(0).getOps<lm::ParameterOp>())
    builder.clone(*parameter);
  function = cast<func::FuncOp>(builder.clone(*original));
  if (!function->hasAttr("lm.form"))
    function->setAttr("lm.form", builder.getStringAttr("prefill"));
  Block &body = function.getBody().front();
  llvm::BitVector weights(body.getNumArguments());
  int64_t activations = 0;
  for (BlockArgument argument : body.getArguments()) {
    Slot slot{names[argument.getArgNumber()], "", -1, -1, {}};
    if (isActivation(argument.getType())) {
      slot.argument = activations++;
      slot.type = kernel::RowsType::get(builder.getContext(), lm::width(argument), builder.getF32Type());
    } else {
      weights.set(argument.getArgNumber());
      slot.parameter = "argument." + std::to_string(argument.getArgNumber());
      builder.setInsertionPoint(function);
      lm::ParameterOp::create(builder, argument.getLoc(), slot.parameter,
                              cast<TensorType>(argument.getType()), nullptr, false, nullptr, nullptr);
      builder.setInsertionPointToStart(&body);
      argument.replaceAllUsesWith(
          lm::ReadOp::create(builder, argument.getLoc(), argument.getType(), slot.parameter).getResult());
    }
    slots.push_back(slot);
  }
  (void)function.eraseArguments(weights);
  for (auto parameter : original->getParentOp()->getRegion(0).getOps<lm::ParameterOp>()) {
    bool isRead = false;
    function.walk([&](lm::ReadOp read) { isRead |= read.getParameter() == parameter.getSymName(); });
    std::string name = parameter.getSymName().str();
    for (char &c : name)
      c = llvm::isAlnum(c) ? c : '_';
    if (isRead)
      slots.push_back({name, parameter.getSymName().str(), -1, -1, {}});
  }
  for (unsigned i = 0; i < function.getNumResults(); ++i)
    slots.push_back({function.getNumResults() == 1 ? "y" : "y" + std::to_string(i + 1), "", -1, i, {}});
}

TensorFunction::Slot *TensorFunction::slotOf(kernel::BufferOp buffer) {
  auto number = [&](StringRef name) {
    auto attribute = buffer->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : -1;
  };
  auto place = llvm::find_if(slots, [&](const Slot &slot) {
    if (buffer.getParameter())
      return slot.parameter == *buffer.getParameter();
    if (buffer.getSpace() == kernel::Space::Logits)
      return slot.result == 0;
    return (slot.argument >= 0 && slot.argument == number("argument")) ||
           (slot.result >= 0 && slot.result == number("result"));
  });
  return place == slots.end() ? nullptr : &*place;
}

/// Reads the entry that the passes have made.
LogicalResult TensorFunction::collect(KernelFile &file) {
  auto entry = *module->getOps<kernel::EntryOp>().begin();
  SymbolTable symbols(*module);
  std::string prefix = original.getName().str() + "_";
  for (auto kernel : llvm::to_vector(module->getOps<kernel::FuncOp>()))
    if (failed(symbols.rename(kernel, prefix + kernel.getName().str())))
      return failure();
  for (auto buffer : entry.getOps<kernel::BufferOp>()) {
    Slot *slot = slotOf(buffer);
    if (!slot && (buffer.getParameter() || buffer.getSpace() != kernel::Space::Arena))
      return original.emitOpError("expected kernels on activations and weights only, found one that needs ")
             << (buffer.getParameter() ? "constants" : kernel::stringifySpace(buffer.getSpace()));
    if (slot)
      slot->type = buffer.getType();
  }
  KernelFunction result;
  result.name = original.getName().str();
  result.maxRows = entry.getMaxRows();
  result.arenaBytes = entry.getArenaBytes().value_or(0);
  for (Slot &slot : slots) {
    if (!slot.type)
      return original.emitOpError("expected every weight to be used, found no use of '") << slot.name << "'";
    if (!isCIdentifier(slot.name))
      return original.emitOpError("expected arguments whose names are identifiers in C, found '")
             << slot.name << "'";
    result.arguments.push_back({slot.name, slot.type, slot.result >= 0});
  }
  for (auto launch : entry.getOps<kernel::LaunchOp>()) {
    KernelLaunch made{symbols.lookup<kernel::FuncOp>(launch.getCallee()), {}};
    if (makeKernelFunction(made.kernel, {}).takesStep)
      return original.emitOpError(
          "expected no operations that need the tokens, positions or the cache of a step");
    for (Value value : launch.getBuffers()) {
      auto buffer = value.getDefiningOp<kernel::BufferOp>();
      if (Slot *slot = slotOf(buffer))
        made.buffers.push_back({true, static_cast<uint64_t>(slot - slots.data())});
      else
        made.buffers.push_back({false, *buffer.getOffset()});
    }
    result.launches.push_back(std::move(made));
  }
  for (auto kernel : llvm::to_vector(module->getOps<kernel::FuncOp>()))
    kernel->moveBefore(file.kernels->getBody(), file.kernels->getBody()->end());
  file.functions.push_back(std::move(result));
  return success();
}

LogicalResult TensorFunction::lower(KernelFile &file, bool gpu) {
  if (failed(check()))
    return failure();
  isolate();
  PassManager passes(original.getContext());
  if (failed(applyPassManagerCLOptions(passes)))
    return failure();
  PipelineOptions options;
  options.cacheTypes = {"f32"};
  options.gpu = gpu;
  options.prefillRows = 96; // a row tile: one thread gains nothing from more, and the workspace stays small
  addFunctionPasses(passes, options);
  return failed(passes.run(*module)) ? failure() : collect(file);
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
    if (!isCIdentifier(symbol.getName()))
      return op.emitOpError("expected a name that is an identifier in C, found '") << symbol.getName() << "'",
             failure();
    std::vector<std::string> names;
    if (!op.getRegion(0).empty())
      names = argumentNames(state, op.getRegion(0).front());
    if (auto function = dyn_cast<func::FuncOp>(op)) {
      if (failed(TensorFunction(function, std::move(names)).lower(file, gpu)))
        return failure();
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
  llvm::StringSet<> taken; // by functions; those that pack their weights get names of their own beside them
  for (const KernelFunction &function : file.functions)
    taken.insert(function.name);
  for (const KernelFunction &function : file.functions)
    for (const KernelArgument &argument : function.arguments)
      for (const char *part : {"_pack_", "_round_"})
        if (isa<kernel::WeightType>(argument.type) && taken.contains(function.name + part + argument.name)) {
          llvm::errs() << "error: " << path << ": expected no function '" << function.name << part
                       << argument.name << "', which is what packs a weight of '" << function.name << "'\n";
          return failure();
        }
  PassManager passes(&context);
  addScheduleChoice(passes);
  return failed(passes.run(*file.kernels)) ? FailureOr<KernelFile>(failure())
                                           : FailureOr<KernelFile>(std::move(file));
}

} // namespace sinter
