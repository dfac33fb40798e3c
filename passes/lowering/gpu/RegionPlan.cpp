// SPDX-License-Identifier: Apache-2.0
// Phases: an operation runs in the first phase in which all reductions it depends on are there.
#include "passes/lowering/gpu/RegionPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

#include <numeric>
#include <set>

using namespace mlir;

namespace sinter::gpu {

bool isSource(Operation *op) { return isa<kernel::LookupOp, kernel::CombineOp>(op); }
bool isSink(Operation *op) {
  if (auto yield = dyn_cast<kernel::YieldOp>(op))
    return !yield.getValues().empty();
  return isa<kernel::StoreOp, kernel::AppendOp, vector::ReductionOp>(op);
}

RegionPlan::RegionPlan(Region &region, Multiples multiples) : block(region.front()), multiples(multiples) {
  assert(multiples.size() == block.getNumArguments() && "a multiple for each argument of the region");
  findLength();
  findPhases();
  findKept();
  findWaiting();
  findElements();
}

void RegionPlan::findLength() {
  auto include = [&](Value value) {
    if (!isVector(value))
      return;
    isLocal &= !length || length == lengthOf(value);
    length = lengthOf(value);
  };
  for (BlockArgument argument : block.getArguments())
    include(argument);
  for (Operation &op : block) {
    isLocal &= !isa<vector::ExtractStridedSliceOp, vector::InsertStridedSliceOp, vector::ShuffleOp>(op);
    for (Value result : op.getResults())
      include(result);
  }
}

void RegionPlan::findPhases() {
  llvm::DenseMap<Value, int64_t> ready;
  llvm::SmallPtrSet<Value, 4> stored;
  for (auto store : block.getOps<kernel::StoreOp>())
    stored.insert(store.getBuffer());
  bool crosses = llvm::any_of(block, [](Operation &op) {
    return isa<vector::ExtractStridedSliceOp, vector::InsertStridedSliceOp, vector::ShuffleOp>(op);
  });
  for (Operation &op : block) {
    int64_t phase = 0;
    for (Value operand : op.getOperands())
      phase = std::max(phase, ready.lookup(operand));
    when[&op] = phase;
    lastPhase = std::max(lastPhase, phase);
    // What is overwritten in place is read before by the thread that writes it, or kept for the others.
    auto load = dyn_cast<kernel::LoadOp>(op);
    bool overwritten = load && crosses && stored.contains(load.getBuffer());
    if (overwritten)
      kept.insert(load.getResult());
    for (Value result : op.getResults())
      ready[result] = phase + (isa<vector::ReductionOp>(op) || overwritten);
  }
}

void RegionPlan::findKept() {
  llvm::SmallPtrSet<Value, 4> stored;
  for (auto store : block.getOps<kernel::StoreOp>())
    stored.insert(store.getBuffer());
  for (Operation &op : block) {
    auto load = dyn_cast<kernel::LoadOp>(op);
    overwrites |= load && stored.contains(load.getBuffer());
    if (load && lastPhase > 0 && stored.contains(load.getBuffer()))
      kept.insert(load.getResult());
    for (Value operand : op.getOperands()) {
      Operation *producer = operand.getDefiningOp();
      if (!producer || producer->getBlock() != &block || !isVector(operand) || when[producer] >= when[&op])
        continue;
      bool isFloat = cast<VectorType>(operand.getType()).getElementType().isF32();
      if (isFloat && !isa<vector::BroadcastOp, arith::ConstantOp, kernel::LoadOp>(producer))
        kept.insert(operand); // all others are made again: as cheap
    }
  }
}

void RegionPlan::findWaiting() {
  // A vector is made when it is asked for first.
  llvm::DenseMap<Operation *, std::pair<int64_t, int64_t>> asked; // the first phase, the last one
  SmallVector<int64_t> count(lastPhase + 1, 0);
  for (Operation &op : llvm::reverse(block)) {
    bool isMade = op.getNumResults() == 1 && isVector(op.getResult(0));
    if (!isMade || isSink(&op) || kept.contains(op.getResult(0)))
      asked[&op] = {when[&op], when[&op]};
    if (!isMade)
      continue;
    for (Operation *user : op.getUsers()) {
      auto [first, last] = asked.lookup(user);
      auto [place, isNew] = asked.try_emplace(&op, first, last);
      place->second = {std::min(place->second.first, first), std::max(place->second.second, last)};
    }
    if (isa<vector::BroadcastOp, arith::ConstantOp>(op))
      continue;
    auto [first, last] = asked.lookup(&op);
    for (int64_t phase = first; phase < last; ++phase)
      ++count[phase];
  }
  waiting = *llvm::max_element(count);
}

int64_t RegionPlan::multipleOf(Value index) const {
  if (!index)
    return 0;
  if (auto argument = dyn_cast<BlockArgument>(index))
    return multiples[argument.getArgNumber()];
  Operation *op = index.getDefiningOp();
  if (auto constant = dyn_cast<arith::ConstantIndexOp>(op))
    return constant.value();
  if (isa<arith::AddIOp, arith::SubIOp>(op))
    return std::gcd(multipleOf(op->getOperand(0)), multipleOf(op->getOperand(1)));
  if (isa<arith::MulIOp>(op))
    return multipleOf(op->getOperand(0)) * multipleOf(op->getOperand(1));
  return 1;
}

SmallVector<int64_t> RegionPlan::rangesOf(Value vector) const {
  std::set<int64_t> borders = {0, lengthOf(vector)};
  std::set<std::pair<void *, int64_t>> seen;
  // `shift`: element i of the outer vector needs element i + shift of `value`.
  auto visit = [&](auto &self, Value value, int64_t shift) -> void {
    Operation *op = value.getDefiningOp();
    if (!op || op->getBlock() != &block || !isVector(value) ||
        !seen.insert({value.getAsOpaquePointer(), shift}).second)
      return;
    if (auto slice = dyn_cast<vector::ExtractStridedSliceOp>(op))
      return self(self, slice.getSource(), shift + cast<IntegerAttr>(slice.getOffsets()[0]).getInt());
    if (auto insert = dyn_cast<vector::InsertStridedSliceOp>(op)) {
      int64_t first = cast<IntegerAttr>(insert.getOffsets()[0]).getInt();
      for (int64_t border : {first - shift, first + lengthOf(insert.getValueToStore()) - shift})
        if (border > 0 && border < lengthOf(vector))
          borders.insert(border);
      self(self, insert.getValueToStore(), shift - first);
      return self(self, insert.getDest(), shift);
    }
    if (isa<vector::ShuffleOp>(op)) // turns the index; single elements are made then
      return;
    for (Value operand : op->getOperands())
      self(self, operand, shift);
  };
  visit(visit, vector, 0);
  return SmallVector<int64_t>(borders.begin(), borders.end());
}

void RegionPlan::findElements() {
  int64_t all = 0; // all of it must be a multiple of what a thread takes
  auto include = [&](int64_t number) { all = std::gcd(all, number); };
  auto columns = [](Type type) {
    if (auto rows = dyn_cast<kernel::RowsType>(type))
      return rows.getColumns();
    return cast<kernel::TableType>(type).getColumns();
  };
  for (BlockArgument argument : block.getArguments())
    if (isVector(argument)) {
      include(lengthOf(argument));
      include(multiples[argument.getArgNumber()]);
    }
  for (Operation &op : block) {
    for (Value result : op.getResults())
      if (isVector(result))
        include(lengthOf(result));
    if (isa<vector::ShuffleOp>(op))
      include(1);
    if (auto load = dyn_cast<kernel::LoadOp>(op)) {
      include(columns(load.getBuffer().getType()));
      include(multipleOf(load.getColumn()));
    } else if (auto store = dyn_cast<kernel::StoreOp>(op)) {
      include(store.getBuffer().getType().getColumns());
      include(multipleOf(store.getColumn()));
    } else if (auto combine = dyn_cast<kernel::CombineOp>(op)) {
      include(combine.getPartial().getType().getSize());
    }
    if (isSink(&op) || (op.getNumResults() == 1 && kept.contains(op.getResult(0)))) {
      Value vector = isSink(&op) ? op.getOperand(0) : op.getResult(0);
      SmallVector<int64_t> borders = rangesOf(vector);
      for (size_t i = 1; i < borders.size(); ++i) {
        include(borders[i]);
        shortest = std::min(shortest, borders[i] - borders[i - 1]);
      }
    }
  }
  while (all % elements)
    elements /= 2;
}

int64_t teamSizeOf(Region &region, Multiples multiples) {
  RegionPlan plan(region, multiples);
  int64_t size = 1;
  while (size < warpSize && size * plan.elements < plan.shortest)
    size *= 2;
  return size;
}

} // namespace sinter::gpu
