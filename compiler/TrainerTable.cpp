// SPDX-License-Identifier: Apache-2.0
// Writes the entries of a training step as the tables of runtime/training/TrainingAbi.h, field by field in
// its order.
#include "compiler/TrainerTable.h"

#include "compiler/ConstantBuilder.h"
#include "compiler/WeightImage.h"
#include "dialects/kernel/WeightLayout.h"
#include "dialects/lm/LmDialect.h"
#include "passes/training/MuonUpdate.h"
#include "runtime/training/TrainingAbi.h"

#include "llvm/ADT/TypeSwitch.h"
#include "llvm/IR/IRBuilder.h"

using namespace mlir;

namespace sinter {
namespace {

static_assert(SINTER_SPACE_GRADIENT == static_cast<int>(kernel::Space::Gradient) &&
              SINTER_SPACE_STATE1 == static_cast<int>(kernel::Space::State1) &&
              SINTER_SPACE_LOSSES == static_cast<int>(kernel::Space::Losses) &&
              SINTER_SPACE_VOTES == static_cast<int>(kernel::Space::Votes) &&
              SINTER_SPACE_AVERAGE == static_cast<int>(kernel::Space::Average));
static_assert(offsetof(sinter_update, average_share) ==
              4 * static_cast<size_t>(kernel::Hyperparameter::AverageShare));

/// The optimizers, each an entry, and how many images each has besides the parameters.
constexpr std::pair<const char *, int> optimizerImages[] = {{"adamw", 2}, {"sgd", 1}, {"muon", 2}};

/// Floating-point operations of products of matrices in a launch on `rows` rows.
uint64_t flopsOf(kernel::FuncOp function, int64_t rows) {
  // Half of the scores are beyond the diagonal.
  auto attention = [&](auto op, int64_t products) -> uint64_t {
    int64_t sizes = (op.getQuery().getType().getColumns() + op.getOutput().getType().getColumns()) / 2;
    return products * rows * static_cast<int64_t>(op.getSequence()) * sizes;
  };
  return llvm::TypeSwitch<Operation *, uint64_t>(function.getAnchor().getOperation())
      .Case([&](kernel::MatmulOp op) -> uint64_t {
        int64_t perRow = op.getExperts() ? op.getLeft().getType().getPerRow() : 1;
        return 2 * op.getWeights().size() * op.getInputs() * op.getOutputs() * rows * perRow;
      })
      .Case([&](kernel::WeightGradientOp op) -> uint64_t {
        return 2 * op.getGradient().getType().getColumns() * op.getInput().getType().getColumns() * rows *
               op.getGradient().getType().getPerRow();
      })
      .Case([&](kernel::SelfAttentionOp op) { return attention(op, 2); })
      .Case([&](kernel::SelfAttentionBackwardOp op) { return attention(op, op.makesKeys() ? 5 : 0); })
      .Default([](Operation *) { return uint64_t(0); });
}

int64_t rowsOf(kernel::LaunchOp launch, kernel::EntryOp entry) {
  return launch.getRowCount().value_or(entry.getMaxRows());
}

class TrainerBuilder : GpuConstantBuilder {
public:
  TrainerBuilder(const TrainerTableInput &input, llvm::Module &module)
      : GpuConstantBuilder(module), input(input), symbols(input.module) {}

  void build();

private:
  using ConstantBuilder::buffer, ConstantBuilder::launch, GpuConstantBuilder::gpuLaunch;
  uint64_t placeOf(StringRef parameter);
  llvm::Constant *buffer(kernel::BufferOp op, int64_t firstRow);
  llvm::Constant *launches(kernel::EntryOp entry, uint64_t &count);
  llvm::SmallVector<llvm::Constant *> buffers(kernel::LaunchOp op);
  llvm::Constant *launch(kernel::LaunchOp op, kernel::EntryOp entry);
  llvm::Constant *gpuLaunches(kernel::EntryOp entry, const CudaKernels &kernels);
  llvm::Constant *gpuProgram(const GpuCode &code);
  llvm::Constant *parameter(lm::ParameterOp op);
  llvm::Constant *parts(lm::ParameterOp op, uint64_t &count);
  void measureTensors();
  void addMain(llvm::GlobalVariable *trainer);
  llvm::Constant *blob(ArrayRef<uint8_t> data) { return structure({bytes(data, 64), i64(data.size())}); }
  llvm::Constant *f32(double value) { return llvm::ConstantFP::get(llvm::Type::getFloatTy(context), value); }
  static ArrayRef<uint8_t> bytesOf(const std::string &text) {
    return {reinterpret_cast<const uint8_t *>(text.data()), text.size()};
  }

  const TrainerTableInput &input;
  SymbolTable symbols;
  std::vector<uint8_t> constants;
  std::map<std::string, uint64_t> constantPlaces;
  std::map<std::string, int64_t> tensorRows; // rows of a tensor that several parameters share
  std::map<std::string, int64_t> numberOf;   // of a parameter in the trainer's list
  uint64_t scratch = 64, flops = 0, logitsOffset = 0;
  int64_t logitsRows = 0;
  int64_t routers = 0, experts = 0;
  double routerCoefficient = 0;
};

/// Offset in bytes of a parameter in its image; a constant gets its place now.
uint64_t TrainerBuilder::placeOf(StringRef name) {
  auto parameter = symbols.lookup<lm::ParameterOp>(name);
  if (!parameter.getValue())
    return 4 * parameter->getAttrOfType<IntegerAttr>("kernel.offset").getInt();
  auto [place, isNew] = constantPlaces.try_emplace(name.str(), constants.size());
  if (isNew) {
    ArrayRef<float> value = *parameter.getValue();
    auto *begin = reinterpret_cast<const uint8_t *>(value.data());
    constants.insert(constants.end(), begin, begin + value.size() * sizeof(float));
    constants.resize(llvm::alignTo(constants.size(), 64));
  }
  return place->second;
}

llvm::Constant *TrainerBuilder::buffer(kernel::BufferOp op, int64_t firstRow) {
  auto space = static_cast<uint32_t>(op.getSpace());
  uint64_t offset = op.getOffset().value_or(0);
  auto rows = dyn_cast<kernel::RowsType>(op.getType());
  bool ofRows = op.getSpace() == kernel::Space::Arena || op.getSpace() == kernel::Space::Losses;
  if (op.getParameter()) {
    offset += placeOf(*op.getParameter());
    if (symbols.lookup<lm::ParameterOp>(*op.getParameter()).getValue())
      space = SINTER_SPACE_CONSTANT;
  } else if (ofRows && rows && !op.getRows()) {
    offset += firstRow * rows.getPerRow() * rows.getRowBytes();
  }
  return buffer(space, offset);
}

llvm::SmallVector<llvm::Constant *> TrainerBuilder::buffers(kernel::LaunchOp op) {
  llvm::SmallVector<llvm::Constant *> all;
  for (Value value : op.getBuffers())
    all.push_back(buffer(value.getDefiningOp<kernel::BufferOp>(), op.getFirstRow().value_or(0)));
  return all;
}

llvm::Constant *TrainerBuilder::launch(kernel::LaunchOp op, kernel::EntryOp entry) {
  auto function = symbols.lookup<kernel::FuncOp>(op.getCallee());
  int64_t firstRow = op.getFirstRow().value_or(0), rows = rowsOf(op, entry);
  if (auto place = input.scratchBytes.find(op.getCallee().str()); place != input.scratchBytes.end())
    scratch = std::max(scratch, place->second);
  uint64_t operations = flopsOf(function, rows);
  flops += operations;
  if (auto loss = dyn_cast<kernel::CrossEntropyOp>(function.getAnchor().getOperation());
      loss && firstRow == 0) {
    unsigned number = cast<BlockArgument>(loss.getLogits()).getArgNumber();
    auto logits = op.getBuffers()[number].getDefiningOp<kernel::BufferOp>();
    logitsOffset = logits.getOffset().value_or(0);
    logitsRows = logits.getRows().value_or(rows);
  }
  if (auto votes = dyn_cast<kernel::RouterVotesOp>(function.getAnchor().getOperation())) {
    ++routers;
    experts = votes.getLogits().getType().getColumns();
  }
  if (auto balance = dyn_cast<kernel::BalanceGradientOp>(function.getAnchor().getOperation()))
    routerCoefficient = balance.getCoefficient().convertToDouble();
  return structure(
      {launch(op.getCallee(), input.isas, function.getAnchor().getGrid(), buffers(op), 0, operations / rows),
       i64(firstRow), i64(rows), i32(op.getAdds()), i32(op.getInLoss()), i32(op.getFillsLogits()), i32(0)});
}

llvm::Constant *TrainerBuilder::launches(kernel::EntryOp entry, uint64_t &count) {
  llvm::SmallVector<llvm::Constant *> all;
  for (auto op : entry.getOps<kernel::LaunchOp>())
    all.push_back(launch(op, entry));
  count = all.size();
  return array(all);
}

/// struct sinter_gpu_train_list.
llvm::Constant *TrainerBuilder::gpuLaunches(kernel::EntryOp entry, const CudaKernels &kernels) {
  llvm::SmallVector<llvm::Constant *> all;
  for (auto op : entry.getOps<kernel::LaunchOp>()) {
    int64_t rows = rowsOf(op, entry);
    uint64_t operations = flopsOf(symbols.lookup<kernel::FuncOp>(op.getCallee()), rows);
    all.push_back(structure({gpuLaunch(op.getCallee(), kernels.kernels.at(op.getCallee().str()), buffers(op),
                                       0, operations / rows),
                             i64(op.getFirstRow().value_or(0)), i64(rows), i32(op.getAdds()),
                             i32(op.getInLoss()), i32(op.getFillsLogits()), i32(0)}));
  }
  return structure({array(all), i64(all.size())});
}

llvm::Constant *TrainerBuilder::gpuProgram(const GpuCode &code) {
  auto list = [&](StringRef name) {
    return gpuLaunches(symbols.lookup<kernel::EntryOp>(name), code.kernels);
  };
  llvm::SmallVector<llvm::Constant *> optimizers;
  for (auto [name, images] : optimizerImages)
    optimizers.push_back(list(name));
  return structure({i32(static_cast<uint32_t>(code.architecture)), i32(0), list("train"), list("norm"),
                    array(optimizers), list("average"), list("exchange")});
}

/// How many rows the tensors have that several parameters are parts of (gate and up in one).
void TrainerBuilder::measureTensors() {
  for (auto parameter : input.module.getOps<lm::ParameterOp>()) {
    if (!parameter.getSource() || parameter.getSource()->getTensors().empty())
      continue;
    lm::SourceAttr source = *parameter.getSource();
    auto type = cast<RankedTensorType>(parameter.getType());
    int64_t rows = type.getRank() == 3 ? type.getDimSize(1) : type.getDimSize(0);
    for (StringAttr tensor : source.getTensors()) {
      int64_t &most = tensorRows[tensor.str()];
      most = std::max(most, source.getFirstRow() + rows);
    }
  }
}

llvm::Constant *TrainerBuilder::parts(lm::ParameterOp op, uint64_t &count) {
  lm::SourceAttr source = *op.getSource();
  auto type = cast<RankedTensorType>(op.getType());
  int64_t tensors = source.getTensors().size();
  bool isVector = type.getRank() == 1, isStack = type.getRank() == 3;
  int64_t columns = isVector ? 1 : type.getShape().back();
  int64_t matrices = isStack ? type.getDimSize(0) : 1;
  int64_t rows = isStack ? type.getDimSize(1) : type.getDimSize(0); // of a matrix
  llvm::SmallVector<llvm::Constant *> all;
  for (int64_t i = 0; i < std::max(tensors, matrices); ++i) {
    std::string tensor = source.getTensors()[tensors == 1 ? 0 : i].str();
    // A vector of several tensors: norms of heads.
    int64_t here = isVector && tensors > 1 ? rows / tensors : rows;
    int64_t fileRows = isVector && tensors > 1 ? here : tensorRows.at(tensor);
    bool transposed = source.getTransposed() && !isVector;
    llvm::SmallVector<int64_t> shape;
    if (isStack && tensors == 1)
      shape.push_back(matrices);
    if (isVector)
      shape.push_back(fileRows);
    else if (transposed)
      shape.append({columns, fileRows});
    else
      shape.append({fileRows, columns});
    int64_t rowStride = transposed ? 1 : columns, columnStride = transposed ? fileRows : 1;
    int64_t offset = source.getFirstRow() * rowStride + (tensors == 1 ? i * fileRows * columns : 0);
    llvm::SmallVector<llvm::Constant *> order;
    if (source.getOrder() != lm::RowOrder::plain)
      for (int64_t row = 0; row < here; ++row)
        order.push_back(i64(fileRow(source, row, here)));
    int64_t rank = shape.size();
    shape.resize(3);
    llvm::Constant *lengths[] = {i64(shape[0]), i64(shape[1]), i64(shape[2])};
    all.push_back(structure(
        {text(tensor), i64(rank),
         llvm::ConstantArray::get(llvm::ArrayType::get(llvm::Type::getInt64Ty(context), 3), lengths),
         i64(i * here), i64(here), i64(offset), i64(rowStride), i64(columnStride), array(order)}));
  }
  count = all.size();
  return array(all);
}

llvm::Constant *TrainerBuilder::parameter(lm::ParameterOp op) {
  auto type = cast<RankedTensorType>(op.getType());
  bool isVector = type.getRank() == 1;
  StringRef name = op.getSymName();
  int64_t columns = isVector ? 1 : type.getShape().back(), rows = type.getNumElements() / columns;
  uint64_t offset = op->getAttrOfType<IntegerAttr>("kernel.offset").getInt();
  uint64_t floats =
      isVector ? rows : kernel::WeightLayout(kernel::WeightFormat::F32, rows, columns).bytes() / 4;
  const Initialisation &start = input.initialisation;
  uint32_t kind = SINTER_START_NORMAL;
  if (name.ends_with(".bias") || (isVector && start.normStart == 0))
    kind = SINTER_START_ZEROS;
  else if (isVector)
    kind = SINTER_START_ONES;
  bool isAdapter = op->hasAttr("lm.adapter");
  if (isAdapter) // as PEFT: A uniform by Kaiming with a = sqrt(5), B zeros
    kind = name.ends_with(".lora_a") ? SINTER_START_UNIFORM : SINTER_START_ZEROS;
  bool isOutput = llvm::any_of(op.getSource()->getTensors(), [](StringAttr tensor) {
    return tensor.getValue().ends_with("c_proj.weight");
  });
  double deviation = isAdapter  ? 1 / std::sqrt(static_cast<double>(columns))
                     : isOutput ? start.outputDeviation
                                : start.deviation;
  llvm::Constant *adapters[] = {i64(-1), i64(-1)};
  if (auto names = op->getAttrOfType<ArrayAttr>("lm.adapters"))
    for (auto [i, adapter] : llvm::enumerate(names.getAsRange<FlatSymbolRefAttr>()))
      adapters[i] = i64(numberOf.at(adapter.getValue().str()));
  uint64_t count = 0;
  llvm::Constant *list = parts(op, count);
  return structure(
      {text(name), i64(rows), i64(columns), i64(offset), i64(floats),
       i32(isVector ? SINTER_LAYOUT_PLAIN : SINTER_LAYOUT_PANELS), i32(!isVector), i32(isMuons(op)),
       i32(kind), f32(deviation), i32(op.getTrainable()), i64(type.getRank() == 3 ? type.getDimSize(0) : 1),
       i64(name == "embedding" ? start.paddingToken : -1), list, i64(count),
       llvm::ConstantArray::get(llvm::ArrayType::get(llvm::Type::getInt64Ty(context), 2), adapters),
       i64(isAdapter)});
}

void TrainerBuilder::addMain(llvm::GlobalVariable *trainer) {
  llvm::Type *integer = llvm::Type::getInt32Ty(context);
  auto callee = module.getOrInsertFunction(
      "sinter_train_main", llvm::FunctionType::get(integer, {pointer, integer, pointer}, false));
  auto *function = llvm::Function::Create(llvm::FunctionType::get(integer, {integer, pointer}, false),
                                          llvm::GlobalValue::ExternalLinkage, "main", module);
  llvm::IRBuilder<> ir(llvm::BasicBlock::Create(context, "", function));
  ir.CreateRet(ir.CreateCall(callee, {trainer, function->getArg(0), function->getArg(1)}));
}

void TrainerBuilder::build() {
  measureTensors();
  llvm::SmallVector<llvm::Constant *> parameters;
  uint64_t numbers = 0;
  for (auto op : input.module.getOps<lm::ParameterOp>())
    if (!op.getValue() && !op.getParts())
      numberOf.try_emplace(op.getSymName().str(), numberOf.size());
  for (auto op : input.module.getOps<lm::ParameterOp>()) {
    if (op.getValue() || op.getParts())
      continue;
    parameters.push_back(parameter(op));
    numbers += op.getTrainable() ? cast<RankedTensorType>(op.getType()).getNumElements() : 0;
  }
  auto train = symbols.lookup<kernel::EntryOp>("train"), norm = symbols.lookup<kernel::EntryOp>("norm");
  uint64_t launchCount = 0, normCount = 0, normBlocks = 0, averageCount = 0, exchangeCount = 0;
  llvm::Constant *micro = launches(train, launchCount);
  llvm::Constant *norms = launches(norm, normCount);
  for (auto buffer : norm.getOps<kernel::BufferOp>())
    if (buffer.getSpace() == kernel::Space::Norms)
      normBlocks = cast<kernel::RowsType>(buffer.getType()).getColumns();
  llvm::SmallVector<llvm::Constant *> optimizers;
  for (auto [name, images] : optimizerImages) {
    uint64_t count = 0;
    llvm::Constant *list = launches(symbols.lookup<kernel::EntryOp>(name), count);
    optimizers.push_back(structure({text(name), i64(images), list, i64(count)}));
  }
  llvm::Constant *average = launches(symbols.lookup<kernel::EntryOp>("average"), averageCount);
  llvm::Constant *exchange = launches(symbols.lookup<kernel::EntryOp>("exchange"), exchangeCount);
  llvm::SmallVector<llvm::Constant *> images = gpuImages(input.gpus), programs;
  for (const GpuCode &code : input.gpus)
    programs.push_back(gpuProgram(code));
  llvm::SmallVector<llvm::Constant *> files;
  for (const auto &[name, contents] : input.files)
    files.push_back(structure({text(name), blob(bytesOf(contents))}));
  uint32_t mask = 0;
  for (auto [number, isa] : llvm::enumerate(input.isas))
    mask |= isa.empty() ? 0 : 1u << number;
  uint64_t image = input.module->getAttrOfType<IntegerAttr>("kernel.image_floats").getInt();
  uint64_t trained = input.module->getAttrOfType<IntegerAttr>("kernel.trained_floats").getInt();
  llvm::Constant *initial = input.hasInitial ? external("sinter_weights") : null;
  llvm::Constant *fields =
      structure({i32(SINTER_TRAINING_ABI_VERSION),
                 i32(mask),
                 text(input.name),
                 i64(input.batch),
                 i64(input.sequence),
                 i64(input.vocabulary),
                 i64(input.context),
                 array(parameters),
                 i64(parameters.size()),
                 i64(numbers),
                 i64(image),
                 i64(trained),
                 structure({initial, i64(input.hasInitial ? 4 * image : 0)}),
                 blob(constants),
                 micro,
                 i64(launchCount),
                 i64(std::max(train.getArenaBytes().value_or(0), // an update's is the same
                              symbols.lookup<kernel::EntryOp>("muon").getArenaBytes().value_or(0))),
                 i64(scratch),
                 i64(logitsOffset),
                 i64(logitsRows),
                 norms,
                 i64(normCount),
                 i64(normBlocks),
                 array(optimizers),
                 i64(optimizers.size()),
                 average,
                 i64(averageCount),
                 exchange,
                 i64(exchangeCount),
                 i64(flops),
                 array(files),
                 i64(files.size()),
                 blob(input.tokenizer),
                 blob(bytesOf(input.metadata)),
                 i64(routers),
                 i64(experts),
                 f32(routerCoefficient),
                 f32(input.adapterAlpha),
                 i64(input.adapterRank),
                 text(input.adapterTargets),
                 blob(bytesOf(input.adapterConfig)),
                 text(input.dropout),
                 text(input.dropoutKeys),
                 i64(input.recomputes),
                 text(input.dtype),
                 array(images),
                 i64(images.size()),
                 array(programs),
                 i64(programs.size()),
                 text(input.emulatorFolder)});
  auto *trainer = new llvm::GlobalVariable(module, fields->getType(), true,
                                           llvm::GlobalValue::ExternalLinkage, fields, "sinter_trainer");
  addMain(trainer);
}

} // namespace

WeightPlacement placeParameters(ModuleOp module) {
  WeightPlacement placement;
  MLIRContext *context = module.getContext();
  Type element = Float32Type::get(context);
  for (auto parameter : module.getOps<lm::ParameterOp>()) {
    auto offset = parameter->getAttrOfType<IntegerAttr>("kernel.offset");
    if (!offset || parameter->hasAttr("lm.adapter")) // adapters are drawn
      continue;
    auto type = cast<RankedTensorType>(parameter.getType());
    int64_t columns = type.getShape().back();
    Type stored = kernel::TableType::get(context, 1, columns, element);
    if (type.getRank() > 1)
      stored = kernel::WeightType::get(context, type.getNumElements() / columns, columns,
                                       kernel::WeightFormat::F32);
    placement.offsets[{parameter.getSymName().str(), stored.getAsOpaquePointer()}] = 4 * offset.getInt();
  }
  placement.size = 4 * module->getAttrOfType<IntegerAttr>("kernel.image_floats").getInt();
  return placement;
}

TrainingCost costOfTraining(ModuleOp module) {
  SymbolTable symbols(module);
  auto entry = symbols.lookup<kernel::EntryOp>("train");
  TrainingCost cost;
  cost.arenaBytes = entry.getArenaBytes().value_or(0);
  for (auto launch : entry.getOps<kernel::LaunchOp>()) {
    cost.flops += flopsOf(symbols.lookup<kernel::FuncOp>(launch.getCallee()), rowsOf(launch, entry));
    ++cost.launches;
  }
  return cost;
}

std::unique_ptr<llvm::Module> makeTrainerTable(const TrainerTableInput &input, llvm::LLVMContext &context) {
  auto module = std::make_unique<llvm::Module>("trainer", context);
  TrainerBuilder(input, *module).build();
  return module;
}

} // namespace sinter
