// SPDX-License-Identifier: Apache-2.0
// --lm-train-to-kernel: the differentiated function becomes the entry of a micro-step.
//
//   func.func @train(...) {             kernel.entry @train rows 1024 ... {
//     %h = lm.group ...                   kernel.launch @rows_0(...)
//     %l = lm.group matmul {...}    ->    kernel.launch @matmul_1(...) {first_row = 0, row_count = 256, ...}
//     %c = lm.cross_entropy %l            kernel.launch @cross_entropy_2(...) {first_row = 0, ...}
//     ...                                 ... the same for rows 256, 512, 768
//     return %c, %dw, ... }               kernel.launch @weight_gradient_9(...) }
//
// What works on logits (the head's matmul, what follows it, the loss, and back again) is launched once for
// each chunk of rows, on one buffer of logits. Gradients of parameters go into their image: each launch adds
// to what is there, but the first one of a parameter, which in the first micro-step overwrites.
#include "passes/kernels/KernelNames.h"
#include "passes/training/TrainingKernels.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_TRAINTOKERNELPASS
#include "passes/Passes.h.inc"

namespace {

/// Rows of a chunk are a multiple of this: whole tiles of matmuls.
constexpr int64_t chunkUnit = 32;

bool isParameterShaped(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.hasStaticShape() && type.getRank() > 0;
}

class Converter {
public:
  Converter(func::FuncOp function, SymbolTable &symbols, kernel::EntryOp entry, int64_t sequence,
            int64_t chunkRows)
      : function(function), names(symbols), entry(entry), sequence(sequence), chunkRows(chunkRows),
        buffers(function, entry, kernel::Form::Prefill, Float32Type::get(function.getContext())) {}

  LogicalResult run();

private:
  LogicalResult findHead();
  void findParameters();
  void assign(OpOperand &place, FlatSymbolRefAttr parameter);
  bool isChunked(Operation *op) { return chunked.contains(op); }
  /// Launches of one operation, of a chunk when `firstRow` >= 0.
  LogicalResult convert(Operation *op, int64_t firstRow);
  void launch(LaunchedKernel &launched, Operation *op, StringRef kind, int64_t firstRow);
  Value gradientBuffer(Value value);

  func::FuncOp function;
  KernelNames names;
  kernel::EntryOp entry;
  int64_t sequence, chunkRows;
  EntryBuffers buffers;
  lm::CrossEntropyOp loss;
  Value losses;
  llvm::SetVector<Operation *> chunked, inLoss; // works on logits; the loss depends on it
  llvm::DenseMap<Value, FlatSymbolRefAttr> parameterOf;
  llvm::DenseMap<StringAttr, Value> gradients; // by parameter
  llvm::DenseSet<StringAttr> written;          // parameters that have a gradient already
};

/// Operations of the function's body that lie between the head's matmul and the uses of the gradient of
/// logits.
LogicalResult Converter::findHead() {
  auto found = function.getOps<lm::CrossEntropyOp>();
  if (!llvm::hasSingleElement(found))
    return function.emitError("expected one lm.cross_entropy to train by");
  loss = *found.begin();
  SmallVector<Value> work = {loss.getLogits()};
  // Back to the matmul.
  while (!work.empty()) {
    Value value = work.pop_back_val();
    Operation *producer = value.getDefiningOp();
    if (!producer || isa<lm::ReadOp>(producer) || !chunked.insert(producer))
      continue;
    auto group = dyn_cast<lm::GroupOp>(producer);
    if (!group)
      return producer->emitOpError("expected logits to come from a group");
    if (group.getKind() == lm::GroupKind::matmul)
      continue;
    group.walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        if (operand.getParentBlock() == loss->getBlock())
          work.push_back(operand);
    });
  }
  chunked.insert(loss);
  // From the gradient of the logits on, through programs on rows.
  for (Operation &op : *loss->getBlock())
    if (isa<lm::CrossEntropyBackwardOp>(op))
      work.append(op.result_begin(), op.result_end());
  while (!work.empty()) {
    Value value = work.pop_back_val();
    chunked.insert(value.getDefiningOp());
    for (Operation *user : value.getUsers()) {
      Operation *place = loss->getBlock()->findAncestorOpInBlock(*user);
      auto group = dyn_cast<lm::GroupOp>(place);
      if (chunked.insert(place) && group && group.getKind() == lm::GroupKind::rows)
        work.append(group.result_begin(), group.result_end());
    }
  }
  auto dependsOn = [&](Operation &op, const llvm::SetVector<Operation *> &set) {
    return llvm::any_of(op.getUsers(), [&](Operation *user) {
      return set.contains(loss->getBlock()->findAncestorOpInBlock(*user));
    });
  };
  inLoss.insert(loss);
  for (Operation &op : llvm::reverse(*loss->getBlock()))
    if (dependsOn(op, inLoss))
      inLoss.insert(&op);
  return success();
}

void Converter::assign(OpOperand &place, FlatSymbolRefAttr parameter) {
  if (parameterOf.contains(place.get())) {
    // Parameters with equal gradients (biases that are added up): each has its own place.
    Operation *producer = place.get().getDefiningOp();
    unsigned number = cast<OpResult>(place.get()).getResultNumber();
    OpBuilder builder(producer->getContext());
    builder.setInsertionPointAfter(producer);
    place.set(builder.clone(*producer)->getResult(number));
  }
  if (Operation *sum = place.get().getDefiningOp(); isa_and_present<lm::AddOp, lm::AllReduceOp>(sum))
    for (OpOperand &operand : sum->getOpOperands())
      assign(operand, parameter);
  parameterOf[place.get()] = parameter;
}

void Converter::findParameters() {
  auto exit = cast<func::ReturnOp>(function.getBody().front().getTerminator());
  for (unsigned i = 1; i < exit.getNumOperands(); ++i)
    assign(exit->getOpOperand(i), function.getResultAttrOfType<FlatSymbolRefAttr>(i, "lm.gradient"));
}

Value Converter::gradientBuffer(Value value) {
  FlatSymbolRefAttr parameter = parameterOf.lookup(value);
  assert(parameter && "a value of a parameter's shape is a part of its gradient");
  Value &buffer = gradients[parameter.getAttr()];
  if (!buffer) {
    auto type = cast<RankedTensorType>(value.getType());
    MLIRContext *context = value.getContext();
    Type element = Float32Type::get(context), stored;
    int64_t columns = type.getShape().back();
    if (type.getRank() == 1)
      stored = kernel::TableType::get(context, 1, columns, element);
    else
      stored = kernel::WeightType::get(context, type.getNumElements() / columns, columns,
                                       kernel::WeightFormat::F32);
    OpBuilder atBegin = OpBuilder::atBlockBegin(&entry.getBody().front());
    buffer = kernel::BufferOp::create(atBegin, value.getLoc(), stored, kernel::Space::Gradient, parameter,
                                      IntegerAttr(), IntegerAttr());
  }
  return buffer;
}

void Converter::launch(LaunchedKernel &launched, Operation *op, StringRef kind, int64_t firstRow) {
  StringAttr name = names.intern(std::move(launched.function), kind);
  OpBuilder builder = OpBuilder::atBlockEnd(&entry.getBody().front());
  auto made = kernel::LaunchOp::create(builder, op->getLoc(), FlatSymbolRefAttr::get(name), launched.buffers);
  int64_t rows = entry.getMaxRows();
  if (firstRow >= 0) {
    made.setFirstRow(firstRow);
    made.setRowCount(std::min(chunkRows, rows - firstRow));
  }
  made.setInLoss(inLoss.contains(op));
  made.setFillsLogits(op == loss.getLogits().getDefiningOp());
  for (Value result : op->getResults())
    if (FlatSymbolRefAttr parameter = parameterOf.lookup(result))
      made.setAdds(!written.insert(parameter.getAttr()).second);
}

LogicalResult Converter::convert(Operation *op, int64_t firstRow) {
  if (isa<lm::ReadOp, lm::CrossEntropyBackwardOp, lm::BalanceLossOp>(op) ||
      op->hasTrait<OpTrait::IsTerminator>() || op->hasTrait<OpTrait::ConstantLike>())
    return success(); // the kernel of the loss makes its gradient, too; the runtime adds losses up
  if (auto votes = dyn_cast<lm::RouterVotesOp>(op)) {
    for (unsigned router = 0; router < votes.getLogits().size(); ++router) {
      LaunchedKernel made = convertRouterVotes(votes, router, buffers);
      launch(made, op, "router_votes", firstRow);
    }
    return success();
  }
  if (auto reduce = dyn_cast<lm::AllReduceOp>(op)) {
    if (static_cast<int64_t>(reduce.getRanks()) != 1)
      return reduce.emitOpError() << "expected one rank, found " << static_cast<int64_t>(reduce.getRanks())
                                  << ": kernels of several do not exchange gradients yet";
    return success();
  }
  if (isa<lm::AddOp>(op) && parameterOf.contains(op->getResult(0)))
    return success(); // both sides went into one place
  if (auto group = dyn_cast<lm::GroupOp>(op)) {
    FailureOr<SmallVector<LaunchedKernel>> kernels = convertGroup(group, buffers);
    if (failed(kernels))
      return failure();
    for (LaunchedKernel &launched : *kernels)
      launch(launched, op, lm::stringifyGroupKind(group.getKind()), firstRow);
    return success();
  }
  FailureOr<LaunchedKernel> made =
      convertTrainingOp(op, buffers, [&](Value value) { return gradientBuffer(value); }, sequence, losses);
  if (failed(made))
    return failure();
  launch(*made, op, op->getName().stripDialect(), firstRow);
  return success();
}

LogicalResult Converter::run() {
  findParameters();
  if (failed(findHead()))
    return failure();
  OpBuilder atBegin = OpBuilder::atBlockBegin(&entry.getBody().front());
  auto lossType = kernel::RowsType::get(function.getContext(), 1, atBegin.getF32Type());
  losses = kernel::BufferOp::create(atBegin, loss.getLoc(), lossType, kernel::Space::Losses,
                                    FlatSymbolRefAttr(), IntegerAttr(), IntegerAttr());
  // Logits and their gradient share a buffer: nobody else may want them.
  for (Operation *user : loss.getLogits().getUsers())
    if (!isa<lm::CrossEntropyOp, lm::CrossEntropyBackwardOp>(user))
      return user->emitOpError("expected the logits to be read by the loss alone");
  for (Operation *op : chunked)
    if (auto backward = dyn_cast<lm::CrossEntropyBackwardOp>(op))
      buffers.alias(backward.getResult(), loss.getLogits());
  for (Operation *op : chunked)
    for (Value result : op->getResults())
      if (isa<RankedTensorType>(result.getType()) && !isParameterShaped(result) &&
          cast<RankedTensorType>(result.getType()).getRank() == 2 &&
          llvm::all_of(result.getUsers(), [&](Operation *user) {
            return isChunked(loss->getBlock()->findAncestorOpInBlock(*user));
          }))
        buffers.rows(result).getDefiningOp<kernel::BufferOp>().setRows(chunkRows);

  // Before the head, the head chunk by chunk, and what comes from it.
  llvm::SetVector<Operation *> after;
  SmallVector<Operation *> before, head, rest;
  for (Operation &op : function.getBody().front()) {
    bool follows = false;
    op.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (Operation *producer = operand.getDefiningOp();
            producer && producer->getBlock() == loss->getBlock())
          follows |= isChunked(producer) || after.contains(producer);
    });
    // What is computed again depends on nothing of the head, and yet belongs to what follows.
    follows |= !after.empty();
    if (!isChunked(&op) && follows)
      after.insert(&op);
    (isChunked(&op) ? head : follows ? rest : before).push_back(&op);
  }
  for (Operation *op : before)
    if (failed(convert(op, -1)))
      return failure();
  for (int64_t row = 0; row < static_cast<int64_t>(entry.getMaxRows()); row += chunkRows)
    for (Operation *op : head)
      if (failed(convert(op, row)))
        return failure();
  for (Operation *op : rest)
    if (failed(convert(op, -1)))
      return failure();
  return success();
}

struct TrainToKernelPass : impl::TrainToKernelPassBase<TrainToKernelPass> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    auto function = symbols.lookup<func::FuncOp>("train");
    if (!function || function.isExternal()) {
      getOperation().emitError() << "expected a function train with a body, found none";
      return signalPassFailure();
    }
    int64_t rows = batch * sequence, width = 1;
    function.walk([&](lm::CrossEntropyOp loss) { width = lm::width(loss.getLogits()); });
    int64_t chunk = std::max<int64_t>(chunkBytes / (4 * width) / chunkUnit, 1) * chunkUnit;
    // Equal chunks, as far as that goes.
    int64_t chunks = (rows + chunk - 1) / chunk;
    chunk = std::min((rows + chunks * chunkUnit - 1) / (chunks * chunkUnit) * chunkUnit, rows);
    OpBuilder builder(function);
    StringAttr name = function.getSymNameAttr();
    function.setSymName("train.graph");
    auto entry =
        kernel::EntryOp::create(builder, function.getLoc(), name, rows, rows, IntegerAttr(), IntegerAttr());
    builder.createBlock(&entry.getBody());
    if (failed(Converter(function, symbols, entry, sequence, chunk).run()))
      return signalPassFailure();
    function.erase();
  }
};

} // namespace
} // namespace sinter
