// SPDX-License-Identifier: Apache-2.0
// A region in phases: each is a loop over the elements of what it stores and reduces.
#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/Dropout.h"
#include "passes/lowering/StepOps.h"
#include "passes/lowering/gpu/RegionPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

/// Elements `base + shift` and following of a vector; all threads of a loop are in low to high - 1.
struct Place {
  Value base;
  int64_t shift, low, high;
  Place moved(int64_t by) const { return {base, shift + by, low + by, high + by}; }
};

class RegionEmitter {
public:
  RegionEmitter(Frame &frame, Region &region, ValueRange arguments, Multiples multiples, const Team &team,
                Value active, const RowDestination *yielded)
      : frame(frame), e(frame.e), block(region.front()), plan(region, multiples), team(team), active(active),
        yielded(yielded), n(plan.elements) {
    for (auto [argument, value] : llvm::zip(block.getArguments(), arguments))
      isVector(argument) ? void(vectors[argument] = value) : scalars.map(argument, e.toIndex(value));
    holds = holdsAll(plan, team.size);
    if (!holds)
      return;
    // In registers instead. Loads of what is overwritten are still due in their own phase.
    for (Value value : plan.kept)
      if (isa<kernel::LoadOp>(value.getDefiningOp()))
        early.insert(value);
    plan.kept.clear();
  }

  LogicalResult run();

private:
  LogicalResult check();
  /// Bytes of shared memory for what is kept.
  int64_t keptBytes() const;
  void emitPhase(int64_t phase);
  void emitLoop(int64_t phase, ArrayRef<Operation *> sinks);
  SmallVector<Value> emitTurns(int64_t phase, ArrayRef<Operation *> sinks, SmallVector<Value> accumulators);
  /// Elements of all sinks from `place` on; gives for each reduction its accumulator with these in it.
  SmallVector<Value> emitChunk(int64_t phase, ArrayRef<Operation *> sinks, const Place &place, Value inside,
                               ValueRange accumulators);
  Value get(Value vector, const Place &place);
  Value make(Operation *op, Value vector, const Place &place);
  Value shuffled(vector::ShuffleOp op, const Place &place);
  Value constantAt(arith::ConstantOp op, const Place &place);
  Value index(const Place &place) { return e.add(place.base, place.shift); }
  /// Whether elements low to high - 1 of a sink are asked for.
  bool wants(Operation *sink, int64_t low, int64_t high) const {
    return !isa<kernel::YieldOp>(sink) || (low < yielded->end && high > yielded->begin);
  }
  Value number(Value index) { return index ? e.fromIndex(scalars.lookup(index)) : e.constant(0); }
  Value addressOf(Value buffer, Value row, Value column);
  void emitStore(kernel::StoreOp op, Value vector, Value index, Value isActive);

  Frame &frame;
  Emitter &e;
  Block &block;
  RegionPlan plan;
  const Team &team;
  Value active;
  const RowDestination *yielded;
  int64_t n;                    // elements at once
  bool holds = false;           // what it has made stays in registers
  llvm::SetVector<Value> early; // where it holds: made before anybody asks
  int64_t phase = 0;
  IRMapping scalars;                                         // what is not a vector
  std::map<Operation *, std::pair<Dropout, Value>> dropouts; // and the key of the row
  llvm::DenseMap<Value, Value> vectors;                      // where arguments and kept vectors lie
  using Key = std::tuple<void *, void *, int64_t>;
  std::map<Key, Value> chunk;      // elements that this turn of the loop has made; where it holds, all turns
  std::map<int64_t, Place> places; // where it holds: by the turn's first element
  std::map<int64_t, Value> insides;
};

LogicalResult RegionEmitter::check() {
  for (auto reduction : block.getOps<vector::ReductionOp>())
    if (!isSupported(reduction.getKind()))
      return reduction.emitOpError() << "expected a sum, product, maximum or minimum of f32";
  for (auto store : block.getOps<kernel::StoreOp>())
    if (store.getBuffer().getType().isQuantized() && (n != 4 || team.size < 8))
      return store.emitOpError() << "expected columns that threads can take by four in blocks of 32";
  for (auto lookup : block.getOps<kernel::LookupOp>())
    if (auto type = lookup.getWeight().getType();
        type.getColumns() % kernel::WeightLayout::columnMultiple(type.getFormat()))
      return lookup.emitOpError() << "expected the columns of a weight of format "
                                  << kernel::stringifyWeightFormat(type.getFormat())
                                  << " to be a multiple of "
                                  << kernel::WeightLayout::columnMultiple(type.getFormat()) << ", found "
                                  << type.getColumns();
  return success();
}

int64_t RegionEmitter::keptBytes() const {
  int64_t bytes = 0;
  for (Value value : plan.kept)
    bytes += llvm::alignTo(lengthOf(value) * 4 * team.count, 128);
  return bytes;
}

LogicalResult RegionEmitter::run() {
  if (failed(check()))
    return failure();
  // What does not fit is made again in each phase, but for loads of what is overwritten.
  if (frame.sharedBytes + keptBytes() > maxSharedBytes(frame.e.architecture))
    plan.kept.remove_if([](Value value) { return !isa<kernel::LoadOp>(value.getDefiningOp()); });
  for (Value value : plan.kept) {
    Value all = frame.allocate(lengthOf(value) * 4 * team.count);
    vectors[value] = e.at(all, e.mul(team.index, lengthOf(value)), e.f32());
  }
  if (frame.sharedBytes > maxSharedBytes(frame.e.architecture))
    return block.getParentOp()->emitOpError()
           << "expected a program that keeps at most " << maxSharedBytes(frame.e.architecture)
           << " bytes of shared memory, found " << frame.sharedBytes;
  if (!plan.kept.empty())
    team.wait(frame); // the last one's are read
  for (int64_t i = 0; i <= plan.lastPhase; ++i)
    emitPhase(i);
  return success();
}

void RegionEmitter::emitPhase(int64_t now) {
  phase = now;
  llvm::MapVector<int64_t, SmallVector<Operation *>> sinks; // by length
  bool keeps = false;
  for (Operation &op : block) {
    if (plan.when[&op] != now)
      continue;
    if (isSink(&op)) {
      if (!isa<kernel::YieldOp>(op) || yielded)
        sinks[lengthOf(op.getOperand(0))].push_back(&op);
    } else if (op.getNumResults() == 1 && plan.kept.contains(op.getResult(0))) {
      sinks[lengthOf(op.getResult(0))].push_back(&op);
      keeps = true;
    } else if (op.getNumResults() == 1 && early.contains(op.getResult(0))) {
      sinks[lengthOf(op.getResult(0))].push_back(&op);
    } else if (auto dropout = dyn_cast<kernel::DropoutOp>(op)) {
      Dropout made = dropoutAt(frame, frame.wideStepField(abi::stepSeed), dropout.getSite(),
                               dropout.getRate().convertToDouble());
      Value key = made.keyOf(e.extend(number(dropout.getRow())));
      dropouts.insert({&op, {made, key}});
    } else if (!llvm::any_of(op.getOperands(), isVector) && !llvm::any_of(op.getResults(), isVector) &&
               !isa<kernel::YieldOp>(op) && !emitStepOp(frame, op, scalars)) {
      e.b.clone(op, scalars);
    }
  }
  for (auto &[length, operations] : sinks)
    emitLoop(now, operations);
  if (keeps)
    team.wait(frame);
}

void RegionEmitter::emitLoop(int64_t now, ArrayRef<Operation *> sinks) {
  SmallVector<vector::ReductionOp> reductions;
  std::set<int64_t> borders;
  for (Operation *op : sinks) {
    if (auto reduction = dyn_cast<vector::ReductionOp>(op))
      reductions.push_back(reduction);
    for (int64_t border : plan.rangesOf(isSink(op) ? op->getOperand(0) : op->getResult(0)))
      borders.insert(border);
    if (isa<kernel::YieldOp>(op))
      for (int64_t border : {yielded->begin, yielded->end})
        if (border > 0 && border < lengthOf(op->getOperand(0)))
          borders.insert(border);
  }
  SmallVector<Value> accumulators;
  for (vector::ReductionOp reduction : reductions)
    accumulators.push_back(e.constantF(e.vec(n), neutralOf(reduction.getKind())));
  int64_t step = team.size * n;
  for (auto low = borders.begin(), high = std::next(low); high != borders.end(); ++low, ++high) {
    int64_t main = (*high - *low) / step * step;
    if (holds) {
      accumulators = emitTurns(now, sinks, accumulators);
      break; // the only range
    }
    if (llvm::none_of(sinks, [&](Operation *op) { return wants(op, *low, *high); }))
      continue;
    Value first = e.add(e.mul(team.lane, n), *low);
    auto body = [&](Value turn, ValueRange carried) {
      chunk.clear();
      return emitChunk(now, sinks, {e.add(first, turn), 0, *low, *high}, Value(), carried);
    };
    if (main == step)
      accumulators = body(e.constant(0), accumulators);
    else if (main)
      accumulators = e.loop(e.constant(0), e.constant(main), step, accumulators, body);
    if (*low + main == *high)
      continue;
    // The last turn: threads beyond the end make the last elements, too, and drop them.
    chunk.clear();
    Value position = e.add(first, main), inside = e.less(position, e.constant(*high));
    Place place{e.min(position, e.constant(*high - n)), 0, *low, *high};
    accumulators = emitChunk(now, sinks, place, inside, accumulators);
  }
  for (auto [reduction, accumulator] : llvm::zip(reductions, accumulators)) {
    Value value = elementsCombined(e, reduction.getKind(), accumulator);
    value = team.reduce(frame, reduction.getKind(), value);
    if (reduction.getAcc())
      value = combine(e, reduction.getKind(), scalars.lookup(reduction.getAcc()), value);
    scalars.map(reduction.getDest(), value);
  }
}

/// All turns of all threads, one after another; what one phase has made, a later one finds.
SmallVector<Value> RegionEmitter::emitTurns(int64_t now, ArrayRef<Operation *> sinks,
                                            SmallVector<Value> accumulators) {
  int64_t step = team.size * n;
  for (int64_t turn = 0; turn < plan.length; turn += step) {
    auto known = places.find(turn);
    if (known == places.end()) {
      Value position = e.add(e.mul(team.lane, n), turn);
      if (turn + step > plan.length) { // threads beyond the end make the last elements, too, and drop them
        insides[turn] = e.less(position, e.constant(plan.length));
        position = e.min(position, e.constant(plan.length - n));
      }
      known = places.insert({turn, {position, 0, turn, std::min(turn + step, plan.length)}}).first;
    }
    accumulators = emitChunk(now, sinks, known->second, insides[turn], accumulators);
  }
  return accumulators;
}

SmallVector<Value> RegionEmitter::emitChunk(int64_t now, ArrayRef<Operation *> sinks, const Place &place,
                                            Value inside, ValueRange accumulators) {
  Value store = e.both(inside, active);
  // All that is stored is made before the first store: a program may write where it reads.
  SmallVector<Value> made;
  for (Operation *op : sinks)
    made.push_back(wants(op, place.low, place.high)
                       ? get(isSink(op) ? op->getOperand(0) : op->getResult(0), place)
                       : Value());
  // Threads beyond the end have read what others are about to overwrite.
  if (holds && inside && plan.overwrites && llvm::any_of(sinks, llvm::IsaPred<kernel::StoreOp>))
    team.wait(frame);
  SmallVector<Value> next;
  for (auto [op, value] : llvm::zip(sinks, made)) {
    if (auto reduction = dyn_cast<vector::ReductionOp>(op)) {
      if (inside)
        value = e.select(inside, value, e.constantF(e.vec(n), neutralOf(reduction.getKind())));
      next.push_back(combine(e, reduction.getKind(), accumulators[next.size()], value));
    } else if (auto to = dyn_cast<kernel::StoreOp>(op)) {
      emitStore(to, value, index(place), store);
    } else if (auto append = dyn_cast<kernel::AppendOp>(op)) {
      emitAppend(frame, append, value, number(append.getRow()), number(append.getHead()), index(place),
                 store);
    } else if (isa<kernel::YieldOp>(op)) {
      if (!value)
        continue;
      Value wanted = inside; // a turn in registers may have columns that are not
      if (place.low < yielded->begin)
        wanted = e.both(e.less(e.constant(yielded->begin - 1), index(place)), wanted);
      if (place.high > yielded->end)
        wanted = e.both(e.less(index(place), e.constant(yielded->end)), wanted);
      storeColumns(frame, value, yielded->type, yielded->pointer, e.sub(index(place), yielded->begin),
                   wanted);
    } else if (!early.contains(op->getResult(0))) { // kept, of teams without anything to do, too
      auto keep = [&] { e.storeAligned(value, e.at(vectors[op->getResult(0)], index(place), e.f32())); };
      inside ? e.ifThen(inside, keep) : keep();
    }
  }
  return next;
}

/// To rows in memory, or to those of a tile that go there by a tensor map.
void RegionEmitter::emitStore(kernel::StoreOp op, Value vector, Value index, Value isActive) {
  kernel::RowsType type = op.getBuffer().getType();
  Value row = number(op.getRow()), column = e.add(number(op.getColumn()), index);
  const StagedRows &staged = frame.staged;
  if (staged.store != op.getOperation())
    return storeColumns(frame, vector, type, frame.rowOf(op.getBuffer(), row), column, isActive);
  column = e.sub(column, staged.firstColumn);
  Value line = e.sub(row, staged.firstRow);
  if (staged.boxColumns < staged.columns) {
    line = e.add(line, e.mul(e.div(column, staged.boxColumns), staged.rows));
    column = e.rem(column, staged.boxColumns);
  }
  Value pointer = e.at(staged.address, e.mul(line, staged.boxColumns), type.getElement());
  storeColumns(frame, vector, type, pointer, column, isActive);
}

Value RegionEmitter::addressOf(Value buffer, Value row, Value column) {
  Type type = buffer.getType();
  Type element = isa<kernel::RowsType>(type) ? cast<kernel::RowsType>(type).getElement()
                                             : cast<kernel::TableType>(type).getElement();
  return e.at(frame.rowOf(buffer, row), column, element);
}

Value RegionEmitter::get(Value vector, const Place &place) {
  Key key{vector.getAsOpaquePointer(), place.base.getAsOpaquePointer(), place.shift};
  auto known = chunk.find(key);
  if (known != chunk.end())
    return known->second;
  Operation *op = vector.getDefiningOp();
  bool isThere = !op || (plan.kept.contains(vector) && plan.when[op] < phase);
  Value result = isThere ? e.loadWide(e.f32(), n, e.at(vectors.lookup(vector), index(place), e.f32()))
                         : make(op, vector, place);
  return chunk[key] = result;
}

Value RegionEmitter::make(Operation *op, Value vector, const Place &place) {
  if (auto load = dyn_cast<kernel::LoadOp>(op)) {
    Value column = e.add(number(load.getColumn()), index(place));
    Type type = load.getBuffer().getType();
    Type element = isa<kernel::RowsType>(type) ? cast<kernel::RowsType>(type).getElement()
                                               : cast<kernel::TableType>(type).getElement();
    return e.loadWide(element, n, addressOf(load.getBuffer(), number(load.getRow()), column));
  }
  if (auto lookup = dyn_cast<kernel::LookupOp>(op))
    return emitLookup(frame, lookup.getWeight().getType(), frame.buffer(lookup.getWeight()),
                      number(lookup.getIndex()), index(place), n);
  if (auto combined = dyn_cast<kernel::CombineOp>(op))
    return emitCombine(frame, combined, number(combined.getRow()), index(place), n);
  if (auto drop = dyn_cast<kernel::DropoutOp>(op)) {
    auto &[dropout, key] = dropouts.at(op);
    return dropout.factors(key, e.extend(e.add(number(drop.getColumn()), index(place))), 1, n);
  }
  if (auto broadcast = dyn_cast<vector::BroadcastOp>(op))
    return e.splat(scalars.lookup(broadcast.getSource()), n);
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return constantAt(constant, place);
  if (auto slice = dyn_cast<vector::ExtractStridedSliceOp>(op))
    return get(slice.getSource(), place.moved(cast<IntegerAttr>(slice.getOffsets()[0]).getInt()));
  if (auto insert = dyn_cast<vector::InsertStridedSliceOp>(op)) {
    int64_t first = cast<IntegerAttr>(insert.getOffsets()[0]).getInt();
    bool isInside = place.low >= first && place.high <= first + lengthOf(insert.getValueToStore());
    return isInside ? get(insert.getValueToStore(), place.moved(-first)) : get(insert.getDest(), place);
  }
  if (auto shuffle = dyn_cast<vector::ShuffleOp>(op))
    return shuffled(shuffle, place);
  IRMapping operands;
  for (Value operand : op->getOperands())
    operands.map(operand, isVector(operand) ? get(operand, place) : scalars.lookup(operand));
  Operation *clone = op->clone(operands);
  for (OpResult value : clone->getResults())
    value.setType(e.vec(n, cast<VectorType>(value.getType()).getElementType()));
  e.b.insert(clone);
  return clone->getResult(cast<OpResult>(vector).getResultNumber());
}

/// Element i of a shuffle is element a * i + b of its operands, or by turns one of the first and the second.
Value RegionEmitter::shuffled(vector::ShuffleOp op, const Place &place) {
  assert(n == 1 && "the plan takes single elements where there are shuffles");
  ArrayRef<int64_t> mask = op.getMask();
  int64_t first = lengthOf(op.getV1()), size = mask.size();
  Value i = index(place);
  auto at = [&](Value vector, Value index, int64_t low, int64_t high) {
    return get(vector, {index, 0, low, high});
  };
  int64_t factor = size > 1 ? mask[1] - mask[0] : 1;
  bool isLinear = true, alternates = size % 2 == 0 && size == 2 * first;
  for (int64_t k = 0; k < size; ++k) {
    isLinear &= mask[k] == mask[0] + factor * k && mask[k] < first;
    alternates &= mask[k] == k / 2 + (k % 2 ? first : 0);
  }
  if (isLinear)
    return at(op.getV1(), e.add(e.mul(i, factor), mask[0]), 0, first);
  assert(alternates && "shuffles take every nth element, or merge two vectors by turns");
  Value half = e.div(i, 2), isOdd = e.equal(e.rem(i, 2), e.constant(1));
  Value even = at(op.getV1(), half, 0, first), odd = at(op.getV2(), half, 0, first);
  return e.select(isOdd, odd, even);
}

/// Numbers that differ lie in global memory.
Value RegionEmitter::constantAt(arith::ConstantOp op, const Place &place) {
  if (auto splat = dyn_cast<SplatElementsAttr>(op.getValue()))
    return arith::ConstantOp::create(
        e.b, e.loc,
        DenseElementsAttr::get(e.vec(n, splat.getElementType()), splat.getSplatValue<Attribute>()));
  auto numbers = cast<DenseElementsAttr>(op.getValue());
  // Of a tensor: a vector's would become an initializer of LLVM's vector type, where the table is an array.
  numbers = numbers.reshape(RankedTensorType::get(numbers.getType().getShape(), numbers.getElementType()));
  auto function = e.b.getInsertionBlock()->getParentOp();
  while (!isa<LLVM::LLVMFuncOp>(function))
    function = function->getParentOp();
  auto globals = [&] { return cast<ModuleOp>(function->getParentOp()).getOps<LLVM::GlobalOp>(); };
  LLVM::GlobalOp table;
  for (LLVM::GlobalOp global : globals())
    if (global.getValueOrNull() == numbers)
      table = global;
  if (!table) {
    OpBuilder builder(function);
    auto type = LLVM::LLVMArrayType::get(numbers.getElementType(), numbers.getNumElements());
    auto global = cast<LLVM::LLVMPointerType>(e.globalPtr());
    std::string name = "table" + std::to_string(llvm::range_size(globals()));
    table = LLVM::GlobalOp::create(builder, e.loc, type, /*isConstant=*/true, LLVM::Linkage::Internal, name,
                                   numbers,
                                   /*alignment=*/16, global.getAddressSpace());
  }
  Value address = LLVM::AddressOfOp::create(e.b, e.loc, e.globalPtr(), table.getSymName());
  Type element = numbers.getElementType();
  Value here = e.at(address, index(place), element);
  return element.isInteger() ? e.loadAligned(e.vec(n, element), here) : e.loadWide(element, n, here);
}

} // namespace

LogicalResult emitRegion(Frame &frame, Region &region, ValueRange arguments, Multiples multiples,
                         const Team &team, Value active, const RowDestination *yielded) {
  return RegionEmitter(frame, region, arguments, multiples, team, active, yielded).run();
}

} // namespace sinter::gpu
