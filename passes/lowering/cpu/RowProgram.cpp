// SPDX-License-Identifier: Apache-2.0
// Whole rows by loops over chunks. The program is cut into phases: a phase holds what needs no reduction of
// its own or a later phase; it is one loop over chunks that makes its reductions, its stores, and in scratch
// the vectors that later phases need again.
#include "passes/lowering/cpu/RowProgram.h"
#include "passes/lowering/cpu/RegionOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

bool isVector(Value value) { return isa<VectorType>(value.getType()); }
int64_t lengthOf(Value vector) { return cast<VectorType>(vector.getType()).getDimSize(0); }
bool touchesVectors(Operation &op) {
  return llvm::any_of(op.getOperands(), isVector) || llvm::any_of(op.getResults(), isVector);
}

/// Whether each element of every vector depends on its own column only (but for reductions).
bool isColumnwise(Operation &op) {
  if (isa<kernel::LoadOp, kernel::StoreOp, kernel::LookupOp, kernel::CombineOp, kernel::YieldOp,
          kernel::DropoutOp, vector::ReductionOp>(op) ||
      !touchesVectors(op))
    return true;
  if (auto broadcast = dyn_cast<vector::BroadcastOp>(op))
    return !isVector(broadcast.getSource());
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return isa<SplatElementsAttr>(constant.getValue());
  return OpTrait::hasElementwiseMappableTraits(&op);
}

Value combine(Emitter &e, vector::CombiningKind kind, Value a, Value b) {
  switch (kind) {
  case vector::CombiningKind::ADD:
    return e.addF(a, b);
  case vector::CombiningKind::MUL:
    return e.mulF(a, b);
  case vector::CombiningKind::MAXNUMF:
  case vector::CombiningKind::MAXIMUMF:
    return e.maxF(a, b);
  default: {
    Value less = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OLT, a, b);
    return arith::SelectOp::create(e.b, e.loc, less, a, b);
  }
  }
}

double neutralOf(vector::CombiningKind kind) {
  switch (kind) {
  case vector::CombiningKind::ADD:
    return 0;
  case vector::CombiningKind::MUL:
    return 1;
  case vector::CombiningKind::MAXNUMF:
  case vector::CombiningKind::MAXIMUMF:
    return -std::numeric_limits<double>::infinity();
  default:
    return std::numeric_limits<double>::infinity();
  }
}

bool isSupportedKind(vector::CombiningKind kind) {
  using enum vector::CombiningKind;
  return llvm::is_contained({ADD, MUL, MAXNUMF, MAXIMUMF, MINNUMF, MINIMUMF}, kind);
}

class StripMiner {
public:
  StripMiner(Frame &frame, Block &block, Value row, const RowDestination *yielded)
      : frame(frame), e(frame.e), block(block), yielded(yielded), width(4 * e.target.lanes()) {
    scalars.map(block.getArgument(0), e.toIndex(row));
  }

  LogicalResult run() {
    findPhases();
    findKept();
    for (int64_t phase = 0; phase <= lastPhase; ++phase)
      if (failed(emitPhase(phase)))
        return failure();
    return success();
  }

private:
  void findPhases();
  void findKept();
  LogicalResult emitPhase(int64_t phase);
  void emitLoop(int64_t phase, int64_t length, ArrayRef<Operation *> sinks);
  /// One chunk; gives for each reduction among the sinks its accumulator (vector) with this chunk in it.
  SmallVector<Value> emitChunk(int64_t phase, int64_t length, Value offset, int64_t n,
                               ArrayRef<Operation *> sinks, ValueRange accumulators);
  Value get(Value vector, int64_t phase, Value offset, int64_t n, DenseMap<Value, Value> &chunk);
  Value number(Value index) { return e.fromIndex(scalars.lookup(index)); }
  bool isSource(Operation *op) { return isa<kernel::LookupOp, kernel::CombineOp>(op); }

  Frame &frame;
  Emitter &e;
  Block &block;
  const RowDestination *yielded;
  int64_t width, lastPhase = 0;
  IRMapping scalars;                   // what is not a vector
  DenseMap<Operation *, int64_t> when; // the phase that an operation runs in
  DenseMap<Value, int64_t> ready;      // the first phase that may use a value
  DenseMap<Value, Value> kept;         // vectors that lie in scratch, and where
  SmallPtrSet<Value, 4> stored;        // buffers that the program stores to
};

void StripMiner::findPhases() {
  for (Operation &op : block) {
    int64_t phase = 0;
    for (Value operand : op.getOperands())
      phase = std::max(phase, ready.lookup(operand));
    when[&op] = phase;
    lastPhase = std::max(lastPhase, phase);
    for (Value result : op.getResults())
      ready[result] = phase + isa<vector::ReductionOp>(op);
    if (auto store = dyn_cast<kernel::StoreOp>(op))
      stored.insert(store.getBuffer());
  }
}

void StripMiner::findKept() {
  auto keep = [&](Value value) {
    if (!kept.contains(value))
      kept[value] = frame.allocate(lengthOf(value) * 4);
  };
  for (Operation &op : block) {
    auto load = dyn_cast<kernel::LoadOp>(op);
    if (isSource(&op) || (load && lastPhase > 0 && stored.contains(load.getBuffer())))
      keep(op.getResult(0));
    for (Value operand : op.getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (!producer || producer->getBlock() != &block || !isVector(operand) || when[producer] >= when[&op])
        continue;
      bool isFloat = cast<VectorType>(operand.getType()).getElementType().isF32();
      if (!isFloat || isa<vector::BroadcastOp, arith::ConstantOp, kernel::LoadOp>(producer))
        continue; // made again: as cheap, or a mask
      keep(operand);
    }
  }
}

LogicalResult StripMiner::emitPhase(int64_t phase) {
  llvm::MapVector<int64_t, SmallVector<Operation *>> sinks; // by length
  for (Operation &op : block) {
    if (when[&op] != phase)
      continue;
    if (isSource(&op)) {
      if (failed(emitSource(frame, op, number(op.getOperand(1)), kept[op.getResult(0)])))
        return failure();
    } else if (isa<vector::ReductionOp, kernel::StoreOp>(op) || (isa<kernel::YieldOp>(op) && yielded)) {
      sinks[lengthOf(op.getOperand(0))].push_back(&op);
    } else if (op.getNumResults() == 1 && kept.contains(op.getResult(0))) {
      sinks[lengthOf(op.getResult(0))].push_back(&op);
    } else if (!touchesVectors(op) && !isa<kernel::YieldOp>(op) && !emitStepOp(frame, op, scalars)) {
      e.b.clone(op, scalars);
    }
  }
  for (auto &[length, operations] : sinks)
    emitLoop(phase, length, operations);
  return success();
}

void StripMiner::emitLoop(int64_t phase, int64_t length, ArrayRef<Operation *> sinks) {
  SmallVector<vector::ReductionOp> reductions;
  for (Operation *op : sinks)
    if (auto reduction = dyn_cast<vector::ReductionOp>(op))
      reductions.push_back(reduction);
  int64_t main = length / width * width, tail = length - main;
  auto neutral = [&](int64_t n) {
    SmallVector<Value> values;
    for (vector::ReductionOp reduction : reductions)
      values.push_back(e.constantF(e.vec(n), neutralOf(reduction.getKind())));
    return values;
  };
  auto reduce = [&](ArrayRef<Value> accumulators) {
    for (auto [reduction, accumulator] : llvm::zip(reductions, accumulators)) {
      Value value = vector::ReductionOp::create(e.b, e.loc, reduction.getKind(), accumulator,
                                                arith::FastMathFlags::reassoc | arith::FastMathFlags::nnan);
      Value before = scalars.lookupOrNull(reduction.getDest());
      if (!before && reduction.getAcc())
        before = scalars.lookup(reduction.getAcc());
      scalars.map(reduction.getDest(), before ? combine(e, reduction.getKind(), before, value) : value);
    }
  };
  if (main)
    reduce(
        e.loop(e.constant(0), e.constant(main), width, neutral(width), [&](Value offset, ValueRange carried) {
          return emitChunk(phase, length, offset, width, sinks, carried);
        }));
  if (tail)
    reduce(emitChunk(phase, length, e.constant(main), tail, sinks, neutral(tail)));
}

SmallVector<Value> StripMiner::emitChunk(int64_t phase, int64_t length, Value offset, int64_t n,
                                         ArrayRef<Operation *> sinks, ValueRange accumulators) {
  DenseMap<Value, Value> chunk;
  // What the program overwrites is loaded before any store of this chunk.
  for (auto load : block.getOps<kernel::LoadOp>())
    if (when[load] == phase && stored.contains(load.getBuffer()) && lengthOf(load) == length)
      get(load, phase, offset, n, chunk);
  SmallVector<Value> next;
  for (Operation *op : sinks) {
    if (auto reduction = dyn_cast<vector::ReductionOp>(op)) {
      Value value = get(reduction.getVector(), phase, offset, n, chunk);
      next.push_back(combine(e, reduction.getKind(), value, accumulators[next.size()]));
    } else if (auto store = dyn_cast<kernel::StoreOp>(op)) {
      Value column = store.getColumn() ? e.add(number(store.getColumn()), offset) : offset;
      storeColumns(e, get(store.getValue(), phase, offset, n, chunk), store.getBuffer().getType(),
                   frame.rowOf(store.getBuffer(), number(store.getRow())), column);
    } else if (auto yield = dyn_cast<kernel::YieldOp>(op)) {
      storeColumns(e, get(yield.getValues().front(), phase, offset, n, chunk), yielded->type,
                   yielded->pointer, offset);
    } else {
      e.store(get(op->getResult(0), phase, offset, n, chunk), e.at(kept[op->getResult(0)], offset, e.f32()));
    }
  }
  return next;
}

Value StripMiner::get(Value vector, int64_t phase, Value offset, int64_t n, DenseMap<Value, Value> &chunk) {
  if (Value known = chunk.lookup(vector))
    return known;
  Operation *op = vector.getDefiningOp();
  assert(op && "the vectors of a row program come from operations");
  Value result;
  if (kept.contains(vector) && (when[op] < phase || isSource(op))) {
    result = e.loadWide(e.f32(), n, e.at(kept[vector], offset, e.f32()));
  } else if (auto load = dyn_cast<kernel::LoadOp>(op)) {
    Value column = load.getColumn() ? e.add(number(load.getColumn()), offset) : offset;
    result = e.loadWide(elementOf(load.getBuffer()), n,
                        columnAddress(frame, load.getBuffer(), number(load.getRow()), column));
  } else if (auto dropout = dyn_cast<kernel::DropoutOp>(op)) {
    Value column = dropout.getColumn() ? e.add(number(dropout.getColumn()), offset) : offset;
    result = emitDropout(frame, dropout, number(dropout.getRow()), column, n);
  } else if (auto broadcast = dyn_cast<vector::BroadcastOp>(op)) {
    result = e.splat(scalars.lookup(broadcast.getSource()), n);
  } else if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
    auto splat = cast<SplatElementsAttr>(constant.getValue());
    result = arith::ConstantOp::create(
        e.b, e.loc,
        DenseElementsAttr::get(e.vec(n, splat.getElementType()), splat.getSplatValue<Attribute>()));
  } else {
    IRMapping operands;
    for (Value operand : op->getOperands())
      operands.map(operand,
                   isVector(operand) ? get(operand, phase, offset, n, chunk) : scalars.lookup(operand));
    Operation *clone = op->clone(operands);
    for (OpResult value : clone->getResults())
      value.setType(e.vec(n, cast<VectorType>(value.getType()).getElementType()));
    e.b.insert(clone);
    for (auto [from, to] : llvm::zip(op->getResults(), clone->getResults()))
      chunk[from] = to;
    return chunk[vector];
  }
  return chunk[vector] = result;
}

} // namespace

LogicalResult emitRow(Frame &frame, Region &region, Value row, const RowDestination *yielded) {
  Block &block = region.front();
  for (auto reduction : block.getOps<vector::ReductionOp>())
    if (!isSupportedKind(reduction.getKind()))
      return reduction.emitOpError() << "expected a sum, product, maximum or minimum of f32";
  if (!llvm::all_of(block, isColumnwise))
    return emitWhole(frame, region, {row}, yielded);
  return StripMiner(frame, block, row, yielded).run();
}

} // namespace sinter::cpu
