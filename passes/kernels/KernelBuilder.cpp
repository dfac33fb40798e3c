// SPDX-License-Identifier: Apache-2.0
// Arguments, loads and stores of kernels, and the programs in their regions.
#include "passes/kernels/KernelBuilder.h"

#include "passes/fusion/Grouping.h"

#include "mlir/Analysis/SliceAnalysis.h"

using namespace mlir;

namespace sinter {

KernelBuilder::KernelBuilder(lm::GroupOp group, EntryBuffers &buffers)
    : group(group), buffers(buffers), builder(group.getContext()), loc(group.getLoc()) {
  OpBuilder detached(group.getContext());
  kernel.function = kernel::FuncOp::create(detached, loc, "kernel", detached.getFunctionType({}, {}),
                                           ArrayAttr(), ArrayAttr(), StringAttr());
  kernel.function->getBody().emplaceBlock();
  builder.setInsertionPointToStart(&kernel.function->getBody().front());
}

Value KernelBuilder::argument(Value buffer) {
  Value &place = arguments[buffer];
  if (!place) {
    place = kernel.function->getBody().addArgument(buffer.getType(), loc);
    kernel.buffers.push_back(buffer);
  }
  return place;
}

FailureOr<LaunchedKernel> KernelBuilder::finish() {
  if (misplaced)
    return failure();
  kernel.function->setFunctionType(
      builder.getFunctionType(kernel.function->getBody().getArgumentTypes(), {}));
  if (isa<kernel::MatmulOp>(kernel.function->getAnchor().getOperation()))
    kernel.function.get()->setAttr("form", builder.getStringAttr(kernel::stringifyForm(buffers.form)));
  return std::move(kernel);
}

void KernelBuilder::checkOutside(Value value) {
  if (!isInside(value) || misplaced)
    return;
  value.getDefiningOp()->emitOpError("expected what reads it to be in the same program of its kernel");
  misplaced = true;
}

void KernelBuilder::split(Value left, SmallVectorImpl<Operation *> &prologue,
                          SmallVectorImpl<Operation *> &epilogue) {
  llvm::SetVector<Operation *> producers;
  if (isInside(left)) {
    BackwardSliceOptions options;
    options.filter = [&](Operation *op) { return group->isAncestor(op) && op != group; };
    options.inclusive = true;
    (void)getBackwardSlice(left.getDefiningOp(), &producers, options);
  }
  for (Operation &op : group.getBody().front().without_terminator())
    if (!isa<lm::LinearOp, lm::LinearBackwardInputOp, lm::ExpertLinearOp, lm::ReadOp>(op))
      (producers.contains(&op) ? prologue : epilogue).push_back(&op);
}

Block *KernelBuilder::beginRows(kernel::Domain domain, int64_t columns, int64_t width) {
  bool whole = columns == 0;
  auto anchor = kernel::RowsOp::create(
      builder, loc, domain, whole ? IntegerAttr() : builder.getI64IntegerAttr(columns),
      whole ? IntegerAttr() : builder.getI64IntegerAttr(width), kernel::ScheduleAttr());
  SmallVector<Type> types(whole ? 1 : 2, builder.getIndexType());
  return builder.createBlock(&anchor.getBody(), {}, types, SmallVector<Location>(types.size(), loc));
}

RowProgram KernelBuilder::rowProgram(Value row, int64_t width) {
  return RowProgram(
      builder, loc, width, [this, row](Value value) { return loadRow(value, row); },
      [this](Value read, int64_t width) { return loadTable(read, width, Value()); });
}

RowProgram KernelBuilder::columnProgram(Value row, Value column, int64_t width) {
  auto load = [this, row](Value value, int64_t width, Value from) -> Value {
    checkOutside(value);
    return kernel::LoadOp::create(builder, loc, vectorOf(width), argument(buffers.rows(value)), row, from);
  };
  return RowProgram(
      builder, loc, width, [=](Value value) { return load(value, width, column); },
      [=, this](Value read, int64_t columns) {
        if (!read.getDefiningOp<lm::ReadOp>()) // angles, the same for every head
          return load(read, columns, index(0));
        // A weight as wide as all heads differs from head to head.
        return loadTable(read, columns, lm::width(read) > columns ? column : index(0));
      });
}

/// A whole row of a value from outside the group.
Value KernelBuilder::loadRow(Value value, Value row) {
  checkOutside(value);
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
  return kernel::LoadOp::create(builder, loc, vectorOf(width), argument(buffers.table(read)), index(0),
                                column);
}

void KernelBuilder::storeRow(Value value, Value vector, Value row) {
  ValueUses uses = buffers.usesOf(value);
  if (uses.rows || !uses.quantised)
    kernel::StoreOp::create(builder, loc, vector, argument(buffers.rows(value)), row, Value());
  if (uses.quantised)
    kernel::StoreOp::create(builder, loc, vector, argument(buffers.quantised(value)), row, Value());
}

/// The input times what dropout leaves of `columns` columns from `column` on (null: of the whole row).
void KernelBuilder::dropout(lm::DropoutOp op, RowProgram &program, Value row, Value column, int64_t columns) {
  Value site = argument(buffers.constants({static_cast<float>(op.getSite())}));
  Value factors =
      kernel::DropoutOp::create(builder, loc, vectorOf(columns), site, row, column, op.getRateAttr());
  program.set(op.getResult(), program.mul(program.get(op.getInput()), factors));
}

/// Emits operations on whole rows.
LogicalResult KernelBuilder::emitRowOps(RowProgram &program, ArrayRef<Operation *> ops, Value row) {
  Value source; // the row of the step that this selected row is
  for (Operation *op : ops) {
    if (auto drop = dyn_cast<lm::DropoutOp>(op)) {
      dropout(drop, program, row, Value(), lm::width(drop.getResult()));
    } else if (auto select = dyn_cast<lm::SelectRowsOp>(op)) {
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
    } else if (auto sinusoids = dyn_cast<lm::SinusoidsOp>(op)) {
      program.emitSinusoids(sinusoids, kernel::PositionOp::create(builder, loc, builder.getIndexType(), row));
    } else if (auto combine = dyn_cast<lm::CombineOp>(op)) {
      if (failed(combineExperts(combine, program, row)))
        return failure();
    } else if (failed(program.emit(op))) {
      return failure();
    }
  }
  return success();
}

/// Columns that the epilogue must see at once.
int64_t KernelBuilder::groupWidth(int64_t columns, ArrayRef<Operation *> ops) {
  int64_t width = 0;
  bool quantised = false;
  for (Operation *op : ops) {
    int64_t own = headWidth(op);
    if (!own && isa<lm::RmsNormOp, lm::LayerNormOp>(op))
      own = columns;
    if (width && own && own != width) {
      op->emitOpError("expected heads of ") << width << " columns, as other ones in its kernel have";
      misplaced = true;
    }
    width = own ? own : width;
  }
  if (width)
    return width;
  for (OpResult result : group->getResults())
    quantised |= isa<RankedTensorType>(result.getType()) && buffers.usesOf(result).quantised;
  // Whole registers where that is possible; else the widest group that divides. Accumulators that are only
  // stored, of rows as long as training's logits, go line after line.
  auto form = group->getParentOfType<func::FuncOp>()->getAttrOfType<StringAttr>("lm.form");
  bool copies = ops.empty() && form && form.getValue() == "train";
  for (int64_t wide = copies ? 64 : quantised ? 32 : 16; wide > 1; --wide)
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
    Value cache =
        argument(isKey ? buffers.cacheK(layer, kvHeads, size) : buffers.cacheV(layer, kvHeads, size));
    kernel::AppendOp::create(builder, loc, program.get(value), cache, row, head);
  }
}

/// Whether what `op` makes comes in other pieces than blocks of the quads of its input, which a GPU's threads
/// round together: halves of heads, single columns.
static bool splitsBlocks(Operation &op) {
  auto slice = dyn_cast<lm::SliceOp>(op);
  return isa<lm::RopeOp>(op) || (slice && (slice.getOffset() % 4 || lm::width(slice.getInput()) % 4));
}

/// Emits epilogue operations, those of one column range, on a group of `width` columns from `column` (local
/// to it).
LogicalResult KernelBuilder::emitColumnOps(RowProgram &program, ArrayRef<Operation *> ops, Value row,
                                           Value column, int64_t width) {
  for (Operation *op : ops) {
    if (auto appendOp = dyn_cast<lm::AppendOp>(op))
      append(appendOp, program, row, column, width);
    else if (auto drop = dyn_cast<lm::DropoutOp>(op))
      dropout(drop, program, row, column, width);
    else if (failed(program.emit(op)))
      return failure();
  }
  bool direct = width % 32 == 0 && llvm::none_of(group.getBody().front(), splitsBlocks);
  for (OpResult out : group->getResults()) {
    Value inner = yielded(out);
    if (!isa<RankedTensorType>(out.getType()) || !program.has(inner))
      continue;
    ValueUses uses = buffers.usesOf(out);
    if (uses.rows || !uses.quantised || !direct)
      kernel::StoreOp::create(builder, loc, program.get(inner), argument(buffers.rows(out)), row, column);
    if (uses.quantised && direct)
      kernel::StoreOp::create(builder, loc, program.get(inner), argument(buffers.quantised(out)), row,
                              column);
    if (uses.quantised && !direct)
      kernel.notQuantised.push_back(out);
  }
  return success();
}

} // namespace sinter
