// SPDX-License-Identifier: Apache-2.0
// From groups to kernels: a matmul with prologue and epilogues, attention, or a program on rows.
#include "passes/fusion/Grouping.h"
#include "passes/kernels/GroupToKernel.h"
#include "passes/kernels/RowPrograms.h"

#include "mlir/Analysis/SliceAnalysis.h"

#include <numeric>

using namespace mlir;

namespace sinter {
namespace {

/// Builds one kernel: its arguments appear as they are asked for.
class KernelBuilder {
public:
  KernelBuilder(lm::GroupOp group, EntryBuffers &buffers)
      : group(group), buffers(buffers), builder(group.getContext()), loc(group.getLoc()) {
    OpBuilder detached(group.getContext());
    kernel.function = kernel::FuncOp::create(detached, loc, "kernel", detached.getFunctionType({}, {}), ArrayAttr(),
                                             ArrayAttr(), StringAttr());
    kernel.function->getBody().emplaceBlock();
    builder.setInsertionPointToStart(&kernel.function->getBody().front());
  }

  FailureOr<LaunchedKernel> matmul();
  FailureOr<LaunchedKernel> attention();
  FailureOr<LaunchedKernel> rows();
  FailureOr<LaunchedKernel> columns(int64_t width);
  /// A kernel that quantises rows.
  FailureOr<LaunchedKernel> quantise(Value value);

private:
  Value argument(Value buffer);
  LaunchedKernel finish();
  bool isInside(Value value) {
    return value.getDefiningOp() && value.getDefiningOp() != group && group->isAncestor(value.getDefiningOp());
  }
  kernel::Domain domainOf(Value value) {
    return buffers.isSelected(value) ? kernel::Domain::Selected : kernel::Domain::Rows;
  }
  VectorType vectorOf(int64_t width) { return VectorType::get({width}, builder.getF32Type()); }
  Value index(int64_t number) { return arith::ConstantIndexOp::create(builder, loc, number); }

  Value loadRow(Value value, Value row);
  Value loadTable(Value read, int64_t width, Value column);
  LogicalResult emitRowOps(RowProgram &program, ArrayRef<Operation *> ops, Value row, kernel::Domain domain);
  void storeRow(Value value, Value vector, Value row);
  LogicalResult emitRange(lm::LinearOp first, MutableArrayRef<lm::LinearOp> linears, int64_t begin, int64_t end,
                          ArrayRef<Operation *> ops);
  LogicalResult emitColumnOps(RowProgram &program, ArrayRef<Operation *> ops, Value row, Value column, int64_t width);
  void append(lm::AppendOp op, RowProgram &program, Value row, Value column, int64_t width);
  int64_t groupWidth(int64_t columns, ArrayRef<Operation *> ops);

  lm::GroupOp group;
  EntryBuffers &buffers;
  OpBuilder builder;
  Location loc;
  LaunchedKernel kernel;
  llvm::DenseMap<Value, Value> arguments;
};

Value KernelBuilder::argument(Value buffer) {
  Value &place = arguments[buffer];
  if (!place) {
    place = kernel.function->getBody().addArgument(buffer.getType(), loc);
    kernel.buffers.push_back(buffer);
  }
  return place;
}

LaunchedKernel KernelBuilder::finish() {
  kernel.function->setFunctionType(builder.getFunctionType(kernel.function->getBody().getArgumentTypes(), {}));
  if (isa<kernel::MatmulOp>(kernel.function->getAnchor().getOperation()))
    kernel.function.get()->setAttr("form", builder.getStringAttr(kernel::stringifyForm(buffers.form)));
  return std::move(kernel);
}

/// A whole row of a value from outside the group.
Value KernelBuilder::loadRow(Value value, Value row) {
  VectorType type = vectorOf(lm::width(value));
  if (Value partial = buffers.partialOf(value)) {
    auto producer = cast<lm::CachedAttentionOp>(definingOpThroughGroups(value));
    int64_t window = producer.getWindow().value_or(0);
    return kernel::CombineOp::create(builder, loc, type, argument(partial), row, window);
  }
  return kernel::LoadOp::create(builder, loc, type, argument(buffers.rows(value)), row, Value());
}

Value KernelBuilder::loadTable(Value read, int64_t width, Value column) {
  if (!read.getDefiningOp<lm::ReadOp>()) // angles: rows, and each head has the same
    llvm_unreachable("expected a parameter");
  return kernel::LoadOp::create(builder, loc, vectorOf(width), argument(buffers.table(read)), index(0), column);
}

void KernelBuilder::storeRow(Value value, Value vector, Value row) {
  ValueUses uses = buffers.usesOf(value);
  if (uses.rows || !uses.quantised)
    kernel::StoreOp::create(builder, loc, vector, argument(buffers.rows(value)), row, Value());
  if (uses.quantised)
    kernel::StoreOp::create(builder, loc, vector, argument(buffers.quantised(value)), row, Value());
}

/// Emits operations on whole rows.
LogicalResult KernelBuilder::emitRowOps(RowProgram &program, ArrayRef<Operation *> ops, Value row,
                                        kernel::Domain domain) {
  Value source; // the row of the step that this selected row is
  for (Operation *op : ops) {
    if (auto select = dyn_cast<lm::SelectRowsOp>(op)) {
      if (!source)
        source = kernel::SelectedOp::create(builder, loc, builder.getIndexType(), row);
      program.set(select.getResult(), loadRow(select.getInput(), source));
    } else if (auto lookup = dyn_cast<lm::EmbeddingOp>(op)) {
      auto function = cast<func::FuncOp>(group->getParentOp());
      bool isToken = lookup.getIds() == function.getArgument(0);
      if (!isToken && lookup.getIds() != function.getArgument(1))
        return lookup.emitOpError("expected to look up tokens or positions of the step");
      Value id = isToken ? Value(kernel::TokenOp::create(builder, loc, builder.getIndexType(), row))
                         : Value(kernel::PositionOp::create(builder, loc, builder.getIndexType(), row));
      if (lookup.getOffset())
        id = arith::AddIOp::create(builder, loc, id, index(lookup.getOffset()));
      program.set(lookup.getResult(),
                  kernel::LookupOp::create(builder, loc, vectorOf(lm::width(lookup.getResult())),
                                           argument(buffers.weight(lookup.getTable())), id));
    } else if (auto angles = dyn_cast<lm::RopeAnglesOp>(op)) {
      Value keys;
      if (angles.getLongFrequencies() || angles.getDynamic())
        keys = kernel::KeysOp::create(builder, loc, builder.getIndexType(), row);
      program.emitAngles(angles, kernel::PositionOp::create(builder, loc, builder.getIndexType(), row), keys);
    } else if (failed(program.emit(op))) {
      return failure();
    }
  }
  return success();
}

FailureOr<LaunchedKernel> KernelBuilder::rows() {
  Block &body = group.getBody().front();
  SmallVector<Operation *> ops;
  for (Operation &op : body.without_terminator())
    if (!isa<lm::ReadOp>(op))
      ops.push_back(&op);
  kernel::Domain domain = domainOf(group.getResult(0));
  auto anchor = kernel::RowsOp::create(builder, loc, domain, IntegerAttr(), IntegerAttr(), kernel::ScheduleAttr());
  Block *region = builder.createBlock(&anchor.getBody(), {}, {builder.getIndexType()}, {loc});
  Value row = region->getArgument(0);
  RowProgram program(
      builder, loc, lm::width(ops.back()->getResult(0)), [&](Value value) { return loadRow(value, row); },
      [&](Value read, int64_t width) { return loadTable(read, width, Value()); });
  if (failed(emitRowOps(program, ops, row, domain)))
    return failure();
  for (OpResult out : group->getResults())
    storeRow(out, program.get(body.getTerminator()->getOperand(out.getResultNumber())), row);
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::quantise(Value value) {
  auto anchor = kernel::RowsOp::create(builder, loc, domainOf(value), IntegerAttr(), IntegerAttr(),
                                         kernel::ScheduleAttr());
  Block *region = builder.createBlock(&anchor.getBody(), {}, {builder.getIndexType()}, {loc});
  Value row = region->getArgument(0);
  Value vector = kernel::LoadOp::create(builder, loc, vectorOf(lm::width(value)), argument(buffers.rows(value)), row,
                                        Value());
  kernel::StoreOp::create(builder, loc, vector, argument(buffers.quantised(value)), row, Value());
  kernel::YieldOp::create(builder, loc);
  return finish();
}

FailureOr<LaunchedKernel> KernelBuilder::attention() {
  auto op = cast<lm::CachedAttentionOp>(group.getBody().front().front());
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads(), layer = op.getLayer();
  int64_t keySize = lm::width(op.getQuery()) / heads, valueSize = lm::width(op.getResult()) / heads;
  Value result = group.getResult(0);
  Value query = argument(buffers.rows(op.getQuery()));
  Value keys = argument(buffers.cacheK(layer, kvHeads, keySize));
  Value values = argument(buffers.cacheV(layer, kvHeads, valueSize));
  Value slopes = op.getAlibi() ? argument(buffers.constants(*op.getAlibi())) : Value();
  Value output = argument(buffers.form == kernel::Form::Decode ? buffers.partial(result, heads, valueSize)
                                                               : buffers.rows(result));
  kernel::AttentionOp::create(builder, loc, query, keys, values, slopes, output,
                              kernel::FormAttr::get(builder.getContext(), buffers.form), builder.getI64IntegerAttr(heads), op.getScaleAttr(),
                              builder.getI64IntegerAttr(op.getWindow().value_or(0)),
                              op.getSoftcapAttr() ? op.getSoftcapAttr() : builder.getF64FloatAttr(0.0),
                              kernel::ScheduleAttr());
  return finish();
}

/// Columns that the epilogue must see at once.
int64_t KernelBuilder::groupWidth(int64_t columns, ArrayRef<Operation *> ops) {
  int64_t width = 0;
  bool quantised = false;
  for (Operation *op : ops) {
    if (auto rope = dyn_cast<lm::RopeOp>(op))
      width = rope.getHeadDim();
    else if (auto norm = dyn_cast<lm::RmsNormOp>(op))
      width = norm.getGroup().value_or(columns);
    else if (auto norm = dyn_cast<lm::LayerNormOp>(op))
      width = norm.getGroup().value_or(columns);
    else if (auto append = dyn_cast<lm::AppendOp>(op))
      width = lm::width(append.getKey()) / static_cast<int64_t>(append.getKvHeads());
  }
  if (width)
    return width;
  for (OpResult result : group->getResults())
    quantised |= isa<RankedTensorType>(result.getType()) && buffers.usesOf(result).quantised;
  // Whole registers where that is possible; else the widest group that divides.
  for (int64_t wide = quantised ? 32 : 16; wide > 1; --wide)
    if (columns % wide == 0)
      return wide;
  return 1;
}

void KernelBuilder::append(lm::AppendOp op, RowProgram &program, Value row, Value column, int64_t width) {
  int64_t kvHeads = op.getKvHeads(), layer = op.getLayer();
  Value head = arith::DivUIOp::create(builder, loc, column, index(width));
  for (auto [value, isKey] : {std::pair<Value, bool>(op.getKey(), true), {op.getValue(), false}}) {
    if (!program.has(value))
      continue;
    int64_t size = lm::width(value) / kvHeads;
    Value cache = argument(isKey ? buffers.cacheK(layer, kvHeads, size) : buffers.cacheV(layer, kvHeads, size));
    kernel::AppendOp::create(builder, loc, program.get(value), cache, row, head);
  }
}

/// Emits epilogue operations, those of one column range, on a group of `width` columns from `column` (local to it).
LogicalResult KernelBuilder::emitColumnOps(RowProgram &program, ArrayRef<Operation *> ops, Value row, Value column,
                                           int64_t width) {
  for (Operation *op : ops) {
    if (auto appendOp = dyn_cast<lm::AppendOp>(op))
      append(appendOp, program, row, column, width);
    else if (failed(program.emit(op)))
      return failure();
  }
  Block &body = group.getBody().front();
  for (OpResult out : group->getResults()) {
    Value inner = body.getTerminator()->getOperand(out.getResultNumber());
    if (!isa<RankedTensorType>(out.getType()) || !program.has(inner))
      continue;
    ValueUses uses = buffers.usesOf(out);
    bool direct = width % 32 == 0;
    if (uses.rows || !uses.quantised || !direct)
      kernel::StoreOp::create(builder, loc, program.get(inner), argument(buffers.rows(out)), row, column);
    if (uses.quantised && direct)
      kernel::StoreOp::create(builder, loc, program.get(inner), argument(buffers.quantised(out)), row, column);
  }
  return success();
}

LogicalResult KernelBuilder::emitRange(lm::LinearOp first, MutableArrayRef<lm::LinearOp> linears, int64_t begin,
                                       int64_t end, ArrayRef<Operation *> ops) {
  int64_t width = groupWidth(end - begin, ops);
  auto range = kernel::RangeOp::create(builder, loc, begin, end, width);
  OpBuilder::InsertionGuard guard(builder);
  SmallVector<Type> types(linears.size(), vectorOf(width));
  types.append({builder.getIndexType(), builder.getIndexType()});
  Block *region = builder.createBlock(&range.getBody(), {}, types, SmallVector<Location>(types.size(), loc));
  Value row = region->getArgument(linears.size()), column = region->getArgument(linears.size() + 1);
  Value local = begin ? Value(arith::SubIOp::create(builder, loc, column, index(begin))) : column;
  RowProgram program(
      builder, loc, width,
      [&](Value value) -> Value {
        return kernel::LoadOp::create(builder, loc, vectorOf(width), argument(buffers.rows(value)), row, local);
      },
      [&](Value read, int64_t columns) -> Value {
        if (!read.getDefiningOp<lm::ReadOp>()) // angles, the same for every head
          return kernel::LoadOp::create(builder, loc, vectorOf(columns), argument(buffers.rows(read)), row, index(0));
        // A weight as wide as all heads differs from head to head.
        return loadTable(read, columns, lm::width(read) > columns ? local : index(0));
      });
  for (auto [number, linear] : llvm::enumerate(linears)) {
    Value accumulator = region->getArgument(number);
    if (linear.getBias())
      accumulator = program.add(accumulator, loadTable(linear.getBias(), width, column));
    program.set(linear.getResult(), accumulator);
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
  SmallVector<lm::LinearOp> linears(body.getOps<lm::LinearOp>());
  for (lm::LinearOp linear : linears)
    if (linear.getInput() != linears[0].getInput())
      return linear.emitOpError("expected all linear layers of a group to read one input"), failure();

  // What computes the input is the prologue, the rest the epilogue.
  Value left = linears[0].getInput();
  llvm::SetVector<Operation *> producers;
  if (isInside(left)) {
    BackwardSliceOptions options;
    options.filter = [&](Operation *op) { return group->isAncestor(op) && op != group; };
    options.inclusive = true;
    (void)getBackwardSlice(left.getDefiningOp(), &producers, options);
  }
  SmallVector<Operation *> prologue, epilogue;
  for (Operation &op : body.without_terminator())
    if (!isa<lm::LinearOp, lm::ReadOp>(op))
      (producers.contains(&op) ? prologue : epilogue).push_back(&op);

  SmallVector<Value> weights;
  for (lm::LinearOp linear : linears)
    weights.push_back(argument(buffers.weight(linear.getWeight())));
  kernel::Domain domain = domainOf(linears[0].getResult());
  bool direct = prologue.empty() && !buffers.partialOf(left);
  Value leftBuffer;
  if (direct) {
    Type element = cast<RankedTensorType>(linears[0].getWeight().getType()).getElementType();
    bool quantised = buffers.form == kernel::Form::Prefill && isQuantised(element);
    leftBuffer = argument(quantised ? buffers.quantised(left) : buffers.rows(left));
  }
  auto anchor = kernel::MatmulOp::create(builder, loc, leftBuffer, weights, domain, kernel::ScheduleAttr());
  if (!direct) {
    Block *region = builder.createBlock(&anchor.getLhs(), {}, {builder.getIndexType()}, {loc});
    Value row = region->getArgument(0);
    RowProgram program(
        builder, loc, lm::width(left), [&](Value value) { return loadRow(value, row); },
        [&](Value read, int64_t width) { return loadTable(read, width, Value()); });
    if (failed(emitRowOps(program, prologue, row, domain)))
      return failure();
    for (OpResult out : group->getResults()) {
      Value inner = body.getTerminator()->getOperand(out.getResultNumber());
      if (inner.getDefiningOp() && producers.contains(inner.getDefiningOp()))
        storeRow(out, program.get(inner), row);
    }
    kernel::YieldOp::create(builder, loc, program.get(left));
  }

  builder.createBlock(&anchor.getRanges());
  // Slices of the product cut the columns into ranges; what depends on a slice belongs to its range.
  int64_t columns = lm::width(linears[0].getResult());
  SmallVector<lm::SliceOp> slices;
  for (Operation *op : epilogue)
    if (auto slice = dyn_cast<lm::SliceOp>(op); slice && slice.getInput() == linears[0].getResult())
      slices.push_back(slice);
  llvm::sort(slices, [](lm::SliceOp a, lm::SliceOp b) { return a.getOffset() < b.getOffset(); });
  if (slices.empty()) {
    if (failed(emitRange(linears[0], linears, 0, columns, epilogue)))
      return failure();
    return finish();
  }
  for (lm::SliceOp slice : slices) {
    llvm::SetVector<Operation *> dependent;
    getForwardSlice(slice.getOperation(), &dependent);
    SmallVector<Operation *> ops;
    for (Operation *op : epilogue)
      if (dependent.contains(op))
        ops.push_back(op);
    int64_t begin = slice.getOffset();
    if (failed(emitRange(linears[0], linears, begin, begin + lm::width(slice.getResult()), ops)))
      return failure();
  }
  return finish();
}

/// Operations on heads or on elements, where no matmul took them.
FailureOr<LaunchedKernel> KernelBuilder::columns(int64_t width) {
  Block &body = group.getBody().front();
  SmallVector<Operation *> ops;
  for (Operation &op : body.without_terminator())
    if (!isa<lm::ReadOp>(op))
      ops.push_back(&op);
  auto appendOp = dyn_cast<lm::AppendOp>(ops.back());
  Value wide = appendOp ? Value(appendOp.getKey()) : Value(ops.back()->getResult(0));
  auto anchor = kernel::RowsOp::create(builder, loc, domainOf(wide), builder.getI64IntegerAttr(lm::width(wide)),
                                       builder.getI64IntegerAttr(width), kernel::ScheduleAttr());
  Type type = builder.getIndexType();
  Block *region = builder.createBlock(&anchor.getBody(), {}, {type, type}, {loc, loc});
  Value row = region->getArgument(0), column = region->getArgument(1);
  RowProgram program(
      builder, loc, width,
      [&](Value value) -> Value {
        return kernel::LoadOp::create(builder, loc, vectorOf(width), argument(buffers.rows(value)), row, column);
      },
      [&](Value read, int64_t columns) -> Value {
        if (!read.getDefiningOp<lm::ReadOp>())
          return kernel::LoadOp::create(builder, loc, vectorOf(columns), argument(buffers.rows(read)), row, index(0));
        return loadTable(read, columns, lm::width(read) > columns ? column : index(0));
      });
  if (appendOp) {
    (void)program.get(appendOp.getKey());
    (void)program.get(appendOp.getValue());
  }
  for (Operation *op : ops)
    if (auto slice = dyn_cast<lm::SliceOp>(op)) {
      Value from = arith::AddIOp::create(builder, loc, column, index(slice.getOffset()));
      program.set(slice.getResult(), kernel::LoadOp::create(builder, loc, vectorOf(width),
                                                            argument(buffers.rows(slice.getInput())), row, from));
    }
  llvm::erase_if(ops, [](Operation *op) { return isa<lm::SliceOp>(op); });
  if (failed(emitColumnOps(program, ops, row, column, width)))
    return failure();
  kernel::YieldOp::create(builder, loc);
  return finish();
}

} // namespace

FailureOr<SmallVector<LaunchedKernel>> convertGroup(lm::GroupOp group, EntryBuffers &buffers) {
  for (Operation &op : group.getBody().front())
    if (isa<lm::RouteOp, lm::ExpertLinearOp, lm::CombineOp>(op))
      return op.emitOpError("expected a dense model, found a mixture of experts: its kernels are not there yet"),
             failure();
  FailureOr<LaunchedKernel> main = failure();
  KernelBuilder kernel(group, buffers);
  bool quantisedApart = false;
  switch (group.getKind()) {
  case lm::GroupKind::matmul:
    main = kernel.matmul();
    break;
  case lm::GroupKind::attention:
    main = kernel.attention();
    quantisedApart = true;
    break;
  case lm::GroupKind::gather:
    main = kernel.rows();
    break;
  case lm::GroupKind::rows: {
    int64_t width = 0;
    group.walk([&](Operation *op) {
      if (auto rope = dyn_cast<lm::RopeOp>(op))
        width = rope.getHeadDim();
      else if (auto norm = dyn_cast<lm::RmsNormOp>(op); norm && norm.getGroup())
        width = *norm.getGroup();
      else if (auto norm = dyn_cast<lm::LayerNormOp>(op); norm && norm.getGroup())
        width = *norm.getGroup();
      else if (auto append = dyn_cast<lm::AppendOp>(op))
        width = lm::width(append.getKey()) / static_cast<int64_t>(append.getKvHeads());
      else if (auto slice = dyn_cast<lm::SliceOp>(op))
        width = std::gcd(lm::width(slice.getResult()), 32);
    });
    main = width ? kernel.columns(width) : kernel.rows();
    break;
  }
  case lm::GroupKind::experts:
    break; // refused before
  }
  if (failed(main))
    return failure();
  SmallVector<LaunchedKernel> kernels;
  kernels.push_back(std::move(*main));
  if (quantisedApart && buffers.usesOf(group.getResult(0)).quantised && !buffers.partialOf(group.getResult(0))) {
    FailureOr<LaunchedKernel> second = KernelBuilder(group, buffers).quantise(group.getResult(0));
    if (failed(second))
      return failure();
    kernels.push_back(std::move(*second));
  }
  return kernels;
}

FailureOr<LaunchedKernel> quantiseArgument(lm::GroupOp group, Value value, EntryBuffers &buffers) {
  return KernelBuilder(group, buffers).quantise(value);
}

} // namespace sinter
