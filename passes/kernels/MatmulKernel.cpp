// SPDX-License-Identifier: Apache-2.0
// Groups with a matmul: what computes its input is the prologue, the rest the epilogue.
#include "passes/kernels/KernelBuilder.h"

#include "mlir/Analysis/SliceAnalysis.h"

using namespace mlir;

namespace sinter {

/// What the products of a group are: linear layers, or their gradients by the input (a product with the
/// transposed weight).
static Value leftOf(Operation *op) { return op->getOperand(0); }
static Value weightOf(Operation *op) { return op->getOperand(1); }
static Value biasOf(Operation *op) {
  auto linear = dyn_cast<lm::LinearOp>(op);
  return linear ? linear.getBias() : Value();
}

static bool isFast(Operation *op) {
  auto linear = dyn_cast<lm::LinearOp>(op);
  return linear && linear.getFastAccumulation();
}

LogicalResult KernelBuilder::emitRange(ArrayRef<Operation *> linears, int64_t begin, int64_t end,
                                       ArrayRef<Operation *> ops) {
  int64_t width = groupWidth(end - begin, ops);
  auto range = kernel::RangeOp::create(builder, loc, begin, end, width);
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Type> types(linears.size(), vectorOf(width));
  types.append({builder.getIndexType(), builder.getIndexType()});
  Block *region = builder.createBlock(&range.getBody(), {}, types, SmallVector<Location>(types.size(), loc));
  Value row = region->getArgument(linears.size()), column = region->getArgument(linears.size() + 1);
  Value local = begin ? Value(arith::SubIOp::create(builder, loc, column, index(begin))) : column;
  RowProgram program = columnProgram(row, local, width);
  for (auto [number, linear] : llvm::enumerate(linears)) {
    Value accumulator = region->getArgument(number);
    if (Value bias = biasOf(linear))
      accumulator = program.add(accumulator, loadTable(bias, width, column));
    program.set(linear->getResult(0), accumulator);
    for (Operation *user : linear->getUsers())
      if (auto slice = dyn_cast<lm::SliceOp>(user); slice && group->isAncestor(slice) &&
                                                    static_cast<int64_t>(slice.getOffset()) == begin &&
                                                    lm::width(slice.getResult()) == end - begin)
        program.set(slice.getResult(), accumulator);
  }
  if (failed(emitColumnOps(program, ops, row, local, width)))
    return failure();
  kernel::YieldOp::create(builder, loc);
  return success();
}

FailureOr<LaunchedKernel> KernelBuilder::matmul() {
  Block &body = group.getBody().front();
  SmallVector<Operation *> linears;
  for (Operation &op : body)
    if (isa<lm::LinearOp, lm::LinearBackwardInputOp>(op))
      linears.push_back(&op);
  for (Operation *linear : linears)
    if (leftOf(linear) != leftOf(linears[0]) || linear->getName() != linears[0]->getName())
      return linear->emitOpError("expected all linear layers of a group to read one input"), failure();
  bool transposed = isa<lm::LinearBackwardInputOp>(linears[0]);

  // What computes the input is the prologue, the rest the epilogue.
  Value left = leftOf(linears[0]);
  SmallVector<Operation *> prologue, epilogue;
  split(left, prologue, epilogue);

  SmallVector<Value> weights;
  for (Operation *linear : linears)
    weights.push_back(argument(buffers.weight(weightOf(linear))));
  kernel::Domain domain = domainOf(linears[0]->getResult(0));
  bool direct = prologue.empty() && !buffers.partialOf(left);
  Value leftBuffer;
  if (direct) {
    Type element = cast<RankedTensorType>(weightOf(linears[0]).getType()).getElementType();
    bool quantised = buffers.form == kernel::Form::Prefill && isQuantised(element);
    leftBuffer = argument(quantised ? buffers.quantised(left) : buffers.rows(left));
  }
  auto anchor = kernel::MatmulOp::create(builder, loc, leftBuffer, weights, /*experts=*/Value(), transposed,
                                         domain, kernel::ScheduleAttr(), llvm::all_of(linears, isFast));
  if (!direct) {
    Block *region = builder.createBlock(&anchor.getLhs(), {}, {builder.getIndexType()}, {loc});
    Value row = region->getArgument(0);
    RowProgram program = rowProgram(row, lm::width(left));
    if (failed(emitRowOps(program, prologue, row)))
      return failure();
    for (OpResult out : group->getResults()) {
      Value inner = yielded(out);
      if (llvm::is_contained(prologue, inner.getDefiningOp()))
        storeRow(out, program.get(inner), row);
    }
    kernel::YieldOp::create(builder, loc, program.get(left));
  }

  builder.createBlock(&anchor.getRanges());
  // Slices of the product cut the columns into ranges; what depends on a slice belongs to its range.
  int64_t columns = lm::width(linears[0]->getResult(0));
  SmallVector<lm::SliceOp> slices;
  for (Operation *op : epilogue)
    if (auto slice = dyn_cast<lm::SliceOp>(op); slice && slice.getInput() == linears[0]->getResult(0))
      slices.push_back(slice);
  llvm::sort(slices, [](lm::SliceOp a, lm::SliceOp b) { return a.getOffset() < b.getOffset(); });
  if (slices.empty()) {
    if (failed(emitRange(linears, 0, columns, epilogue)))
      return failure();
    return finish();
  }
  // Each range of the product is a vector of its own.
  for (Operation *user : linears[0]->getUsers())
    if (linears.size() > 1 || !isa<lm::SliceOp>(user))
      return user->emitOpError("expected slices alone of a product that is sliced in its kernel"), failure();
  for (lm::SliceOp slice : slices) {
    llvm::SetVector<Operation *> dependent;
    getForwardSlice(slice.getOperation(), &dependent);
    SmallVector<Operation *> ops;
    for (Operation *op : epilogue)
      if (dependent.contains(op))
        ops.push_back(op);
    int64_t begin = slice.getOffset();
    if (failed(emitRange(linears, begin, begin + lm::width(slice.getResult()), ops)))
      return failure();
  }
  return finish();
}

} // namespace sinter
