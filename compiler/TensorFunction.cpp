// SPDX-License-Identifier: Apache-2.0
// Checks a function, lowers it in a module of its own, and reads its arguments off the entry's buffers.
#include "compiler/TensorFunction.h"

#include "compiler/Pipeline.h"
#include "passes/Passes.h"

#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace sinter {
namespace {

/// The ids of a step, in the order of a function's arguments of type tensor<?xi32>.
constexpr StringRef stepIds[] = {"tokens", "positions", "sequences"};

bool isActivation(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.isDynamicDim(0) && !tensor.isDynamicDim(1) &&
         tensor.getElementType().isF32();
}

/// Of 8 bits, for lm.linear alone, as the caller has rounded them.
bool isNarrowActivation(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 2 && tensor.isDynamicDim(0) && !tensor.isDynamicDim(1) &&
         isa<Float8E4M3FNType, Float8E5M2Type>(tensor.getElementType());
}

bool isWeight(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape())
    return false;
  return tensor.getRank() == 2 || (tensor.getRank() == 1 && tensor.getElementType().isF32());
}

bool isIds(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.getRank() == 1 && tensor.isDynamicDim(0) && tensor.getElementType().isInteger(32);
}

class TensorFunction {
public:
  TensorFunction(func::FuncOp function, ArrayRef<std::string> names) : original(function), names(names) {}

  FailureOr<KernelFunction> lower(bool gpu, ModuleOp kernels);

private:
  /// An argument in C: activations by the number of the argument or result, a parameter by its symbol, a
  /// part of the cache by its layer, or what chunks of keys leave for the launch behind attention.
  struct Slot {
    std::string name, parameter;
    int64_t argument = -1, result = -1, layer = -1;
    kernel::Space space = kernel::Space::Arena;
    Type type = {};
    bool written = false;
  };

  LogicalResult check();
  void isolate();
  LogicalResult checkStep();
  Slot *slotOf(kernel::BufferOp buffer);
  void addSlot(kernel::BufferOp buffer);
  LogicalResult addConstant(kernel::BufferOp buffer, KernelFunction &result);
  FailureOr<KernelFunction> collect(ModuleOp kernels);

  func::FuncOp original;
  ArrayRef<std::string> names;
  OwningOpRef<ModuleOp> module;
  func::FuncOp function; // in `module`; its first arguments are the step's ids
  std::string cacheName;
  std::vector<Slot> slots;
  llvm::StringMap<uint64_t> constants; // by the symbol of the parameter
};

LogicalResult TensorFunction::check() {
  if (original.isExternal())
    return original.emitOpError("expected a body, found a declaration");
  size_t ids = 0, caches = 0;
  for (BlockArgument argument : original.getArguments()) {
    Type type = argument.getType();
    if (isIds(type) && ++ids > std::size(stepIds))
      return emitError(argument.getLoc())
             << "expected three arguments of type tensor<?xi32> at most (the tokens, positions and sequences "
                "of a step), found another";
    if (isa<lm::CacheType>(type) && ++caches > 1)
      return emitError(argument.getLoc()) << "expected one cache at most, found another";
    if (!isIds(type) && !isa<lm::CacheType>(type) && !isActivation(type) && !isNarrowActivation(type) &&
        !isWeight(type))
      return emitError(argument.getLoc())
             << "expected an argument to be activations (tensor<?xNxf32>, f8E4M3FN or f8E5M2), a vector "
                "(tensor<Nxf32>), a "
                "weight "
                "(tensor<MxN...>), ids of the step (tensor<?xi32>) or a cache (!lm.cache), found "
             << type;
  }
  if (original.getNumResults() == 0)
    return original.emitOpError("expected results, found none");
  for (Type type : original.getResultTypes())
    if (!isActivation(type) && !isa<lm::CacheType>(type))
      return original.emitOpError("expected results to be activations (tensor<?xNxf32>) or the cache, found ")
             << type;
  Operation *terminator = original.getBody().front().getTerminator();
  llvm::SmallPtrSet<Value, 4> returned;
  for (Value value : terminator->getOperands())
    if (isa<BlockArgument>(value) || !returned.insert(value).second)
      return terminator->emitOpError("expected each result to be computed by an operation of its own");
  auto type = original->getAttrOfType<StringAttr>("lm.kv_type");
  if (original->hasAttr("lm.kv_type") &&
      (!type || !llvm::is_contained({"f16", "bf16", "f32"}, type.getValue())))
    return original.emitOpError("expected lm.kv_type to be \"f16\", \"bf16\" or \"f32\", found ")
           << original->getAttr("lm.kv_type");
  return success();
}

/// Into a module of its own, in which weights are parameters and the step's ids come first.
void TensorFunction::isolate() {
  module = ModuleOp::create(original.getLoc());
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  for (auto parameter : original->getParentOp()->getRegion(0).getOps<lm::ParameterOp>())
    builder.clone(*parameter);
  function = cast<func::FuncOp>(builder.clone(*original));
  if (!function->hasAttr("lm.form"))
    function->setAttr("lm.form", builder.getStringAttr("prefill"));
  Block &body = function.getBody().front();
  for (size_t i = 0; i < std::size(stepIds); ++i)
    (void)function.insertArgument(i, RankedTensorType::get({ShapedType::kDynamic}, builder.getI32Type()), {},
                                  function.getLoc());
  llvm::BitVector erased(body.getNumArguments());
  unsigned ids = 0;
  int64_t kept = std::size(stepIds);
  for (BlockArgument argument : body.getArguments().drop_front(std::size(stepIds))) {
    StringRef name = names[argument.getArgNumber() - std::size(stepIds)];
    if (isIds(argument.getType())) {
      erased.set(argument.getArgNumber());
      argument.replaceAllUsesWith(body.getArgument(ids++));
    } else if (isa<lm::CacheType>(argument.getType())) {
      cacheName = name;
      ++kept;
    } else if (isActivation(argument.getType()) || isNarrowActivation(argument.getType())) {
      slots.push_back({.name = name.str(), .parameter = "", .argument = kept++});
      slots.back().type = kernel::RowsType::get(builder.getContext(), lm::width(argument),
                                                cast<RankedTensorType>(argument.getType()).getElementType());
    } else {
      erased.set(argument.getArgNumber());
      std::string parameter = "argument." + std::to_string(argument.getArgNumber());
      builder.setInsertionPoint(function);
      lm::ParameterOp::create(builder, argument.getLoc(), parameter, cast<TensorType>(argument.getType()),
                              nullptr, false, nullptr, nullptr);
      builder.setInsertionPointToStart(&body);
      argument.replaceAllUsesWith(
          lm::ReadOp::create(builder, argument.getLoc(), argument.getType(), parameter).getResult());
      slots.push_back({.name = name.str(), .parameter = parameter});
    }
  }
  (void)function.eraseArguments(erased);
  for (auto parameter : original->getParentOp()->getRegion(0).getOps<lm::ParameterOp>()) {
    bool isRead = false;
    function.walk([&](lm::ReadOp read) { isRead |= read.getParameter() == parameter.getSymName(); });
    std::string name = parameter.getSymName().str();
    for (char &c : name)
      c = llvm::isAlnum(c) ? c : '_';
    if (isRead)
      slots.push_back({.name = name, .parameter = parameter.getSymName().str()});
  }
  unsigned rows = llvm::count_if(function.getResultTypes(), isActivation), seen = 0;
  for (auto [number, type] : llvm::enumerate(function.getResultTypes()))
    if (isActivation(type))
      slots.push_back({.name = rows == 1 ? "y" : "y" + std::to_string(++seen),
                       .parameter = "",
                       .result = static_cast<int64_t>(number),
                       .written = true});
}

/// Kernels take positions and sequences from the step, whatever an operation names: it must name those.
LogicalResult TensorFunction::checkStep() {
  auto isStep = [&](Operation *op, Value value, unsigned number) -> LogicalResult {
    if (value == function.getArgument(number))
      return success();
    return op->emitOpError("expected the step's ") << stepIds[number] << ", which is the function's argument "
                                                   << number + 1 << " of type tensor<?xi32>";
  };
  WalkResult result = function.walk([&](Operation *op) -> WalkResult {
    if (isa<lm::AttentionOp>(op))
      return op->emitOpError("expected lm.append and lm.cached_attention: kernels attend to a cache"),
             WalkResult::interrupt();
    if (isa<lm::SelectRowsOp>(op))
      return op->emitOpError("expected all rows of a step: functions select none"), WalkResult::interrupt();
    auto of = [&](auto named) { return isStep(op, named.getPositions(), 1); };
    auto ofBoth = [&](auto named) {
      return failed(of(named)) ? failure() : isStep(op, named.getSequences(), 2);
    };
    LogicalResult checked = success();
    if (auto append = dyn_cast<lm::AppendOp>(op))
      checked = ofBoth(append);
    else if (auto attention = dyn_cast<lm::CachedAttentionOp>(op))
      checked = ofBoth(attention);
    else if (auto angles = dyn_cast<lm::RopeAnglesOp>(op))
      checked = of(angles);
    else if (auto sinusoids = dyn_cast<lm::SinusoidsOp>(op))
      checked = of(sinusoids);
    return failed(checked) ? WalkResult::interrupt() : WalkResult::advance();
  });
  return failure(result.wasInterrupted());
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
    if (buffer.getSpace() != kernel::Space::Arena)
      return slot.space == buffer.getSpace() &&
             slot.layer == static_cast<int64_t>(buffer.getLayer().value_or(-1));
    return (slot.argument >= 0 && slot.argument == number("argument")) ||
           (slot.result >= 0 && slot.result == number("result"));
  });
  return place == slots.end() ? nullptr : &*place;
}

/// What the function's signature does not name: a layer's keys or values, partial attention.
void TensorFunction::addSlot(kernel::BufferOp buffer) {
  kernel::Space space = buffer.getSpace();
  Slot slot{.name = "partial", .parameter = "", .space = space};
  if (space != kernel::Space::Partial) {
    slot.layer = *buffer.getLayer();
    slot.name = cacheName + (space == kernel::Space::CacheK ? "_k" : "_v") + std::to_string(slot.layer);
  }
  slots.push_back(std::move(slot));
}

LogicalResult TensorFunction::addConstant(kernel::BufferOp buffer, KernelFunction &result) {
  auto parameter = SymbolTable(*module).lookup<lm::ParameterOp>(*buffer.getParameter());
  if (!parameter || !parameter.getValue())
    return original.emitOpError("expected a value of the parameter '") << *buffer.getParameter() << "'";
  if (constants.try_emplace(*buffer.getParameter(), result.constants.size()).second)
    result.constants.emplace_back(*parameter.getValue());
  return success();
}

/// Reads the entry that the passes have made.
FailureOr<KernelFunction> TensorFunction::collect(ModuleOp kernels) {
  auto entry = *module->getOps<kernel::EntryOp>().begin();
  SymbolTable symbols(*module);
  std::string prefix = original.getName().str() + "_";
  for (auto kernel : llvm::to_vector(module->getOps<kernel::FuncOp>()))
    if (failed(symbols.rename(kernel, prefix + kernel.getName().str())))
      return failure();
  KernelFunction result;
  result.name = original.getName().str();
  result.maxRows = entry.getMaxRows();
  result.arenaBytes = entry.getArenaBytes().value_or(0);
  using kernel::Space;
  for (auto buffer : entry.getOps<kernel::BufferOp>()) {
    Space space = buffer.getSpace();
    if (!slotOf(buffer) && llvm::is_contained({Space::CacheK, Space::CacheV, Space::Partial}, space))
      addSlot(buffer);
    if (Slot *slot = slotOf(buffer)) {
      slot->type = buffer.getType();
    } else if (buffer.getParameter()) {
      if (failed(addConstant(buffer, result)))
        return failure();
    } else if (space != Space::Arena) {
      return original.emitOpError(
                 "expected kernels on activations, weights and a cache, found one that needs ")
             << kernel::stringifySpace(space);
    }
  }
  for (auto launch : entry.getOps<kernel::LaunchOp>()) {
    KernelLaunch made{symbols.lookup<kernel::FuncOp>(launch.getCallee()), {}};
    KernelFunction callee = makeKernelFunction(made.kernel, {});
    result.takesStep |= callee.takesStep;
    for (auto [value, argument] : llvm::zip_equal(launch.getBuffers(), callee.arguments)) {
      auto buffer = value.getDefiningOp<kernel::BufferOp>();
      using Place = KernelBuffer::Place;
      if (Slot *slot = slotOf(buffer)) {
        slot->written |= argument.written;
        made.buffers.push_back({Place::Argument, static_cast<uint64_t>(slot - slots.data())});
      } else if (buffer.getParameter()) {
        made.buffers.push_back({Place::Constant, constants.at(*buffer.getParameter())});
      } else {
        made.buffers.push_back({Place::Arena, *buffer.getOffset()});
      }
    }
    result.launches.push_back(std::move(made));
  }
  llvm::StringSet<> taken;
  for (const Slot &slot : slots) {
    if (!slot.type && slot.written)
      return original.emitOpError(
                 "expected each result to differ from the others and from arguments, found '")
             << slot.name << "', which does not";
    if (!slot.type)
      return original.emitOpError("expected every argument to be used, found no use of '")
             << slot.name << "'";
    if (!isCIdentifier(slot.name))
      return original.emitOpError("expected arguments whose names are identifiers in C, found '")
             << slot.name << "'";
    if (!taken.insert(slot.name).second)
      return original.emitOpError("expected arguments of different names, found '")
             << slot.name << "' twice (results are y or y1, y2, ...)";
    result.arguments.push_back({slot.name, slot.type, slot.written});
  }
  for (auto kernel : llvm::to_vector(module->getOps<kernel::FuncOp>()))
    kernel->moveBefore(kernels.getBody(), kernels.getBody()->end());
  return result;
}

FailureOr<KernelFunction> TensorFunction::lower(bool gpu, ModuleOp kernels) {
  if (failed(check()))
    return failure();
  isolate();
  if (failed(checkStep()))
    return failure();
  PassManager passes(original.getContext());
  if (failed(applyPassManagerCLOptions(passes)))
    return failure();
  PipelineOptions options;
  auto type = original->getAttrOfType<StringAttr>("lm.kv_type");
  options.cacheTypes = {type ? type.getValue().str() : "f16"};
  options.gpu = gpu;
  options.prefillRows = 96; // a row tile: one thread gains nothing from more, and the workspace stays small
  addFunctionPasses(passes, options);
  return failed(passes.run(*module)) ? FailureOr<KernelFunction>(failure()) : collect(kernels);
}

} // namespace

FailureOr<KernelFunction> lowerTensorFunction(func::FuncOp function, ArrayRef<std::string> names, bool gpu,
                                              ModuleOp kernels) {
  return TensorFunction(function, names).lower(gpu, kernels);
}

} // namespace sinter
