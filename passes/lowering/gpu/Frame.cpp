// SPDX-License-Identifier: Apache-2.0
// Addresses of rows, fields of the step, and the loop over a block's tiles.
#include "passes/lowering/gpu/Frame.h"

#include "passes/lowering/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {

Value Frame::allocate(int64_t bytes) {
  Value address = e.atByte(shared, sharedBytes);
  sharedBytes += llvm::alignTo(bytes, 128);
  return address;
}

Value Frame::tensorMap(Value argument, TensorMapPlan plan) {
  plan.buffer = cast<BlockArgument>(argument).getArgNumber();
  maps.push_back(plan);
  return entry->addArgument(e.ptr(), e.loc);
}

static constexpr llvm::StringLiteral mapsName = "kernel.tensor_maps";

void noteMaps(Operation *function, ArrayRef<TensorMapPlan> maps) {
  SmallVector<int64_t> numbers;
  for (const TensorMapPlan &map : maps) {
    numbers.append({map.buffer, map.swizzle});
    numbers.append(map.sizes.begin(), map.sizes.end());
    numbers.append(map.box.begin(), map.box.end());
    numbers.append(map.strides.begin(), map.strides.end());
    numbers.push_back(map.ofCache);
  }
  function->setAttr(mapsName, DenseI64ArrayAttr::get(function->getContext(), numbers));
}

SmallVector<TensorMapPlan> notedMaps(Operation *function) {
  ArrayRef<int64_t> numbers = function->getAttrOfType<DenseI64ArrayAttr>(mapsName).asArrayRef();
  SmallVector<TensorMapPlan> maps;
  auto next = [&] {
    int64_t number = numbers.front();
    numbers = numbers.drop_front();
    return number;
  };
  while (!numbers.empty()) {
    TensorMapPlan &map = maps.emplace_back();
    for (int64_t *number : {&map.buffer, &map.swizzle, &map.sizes[0], &map.sizes[1], &map.sizes[2],
                            &map.box[0], &map.box[1], &map.box[2], &map.strides[0], &map.strides[1]})
      *number = next();
    map.ofCache = next();
  }
  return maps;
}

Value Frame::splitSums() {
  if (!splitAddress) {
    assert(maps.empty() && "maps are behind all buffers");
    splitAddress = entry->addArgument(e.globalPtr(), e.loc);
  }
  return splitAddress;
}

void Frame::keepStep(int64_t bytes) {
  keptStep = allocate(bytes);
  keptStepBytes = bytes;
  assert(bytes / 4 <= threads && "a thread a word");
  e.ifThen(e.less(thread, e.constant(bytes / 4)),
           [&] { e.store(e.load(e.i32(), e.at(step, thread, e.i32())), e.at(keptStep, thread, e.i32())); });
  e.barrier();
}

Value Frame::stepAt(int64_t offset) { return e.atByte(offset < keptStepBytes ? keptStep : step, offset); }

Value Frame::wideStepField(int64_t offset) { return e.load(e.i64(), stepAt(offset)); }
Value Frame::stepField(int64_t offset) { return e.load(e.i32(), stepAt(offset)); } // little-endian, < 2^31

Value Frame::adds() { return e.less(e.constant(0), stepField(abi::stepAdds)); }

Value Frame::hyper(kernel::Hyperparameter which) {
  return e.load(e.f32(), e.at(stepPointer(abi::stepUpdate), static_cast<int64_t>(which), e.f32()));
}

Value Frame::stepPointer(int64_t offset) { return e.load(e.globalPtr(), stepAt(offset)); }

Value Frame::stepEntry(int64_t offset, Value row) {
  Value array = stepPointer(offset);
  return e.load(e.i32(), e.at(array, row, e.i32()));
}

Value Frame::domainRows(kernel::Domain domain) {
  return stepField(domain == kernel::Domain::Rows       ? abi::stepRows
                   : domain == kernel::Domain::Selected ? abi::stepSelected
                                                        : abi::stepDraws);
}

Value Frame::farAt(Value base, Value index, int64_t bytes) {
  return e.atByte(base, e.mul(e.extend(index), bytes));
}

Value Frame::rowOf(Value argument, Value row) {
  int64_t bytes = 0;
  if (auto rows = dyn_cast<kernel::RowsType>(argument.getType()))
    bytes = rows.getRowBytes();
  else
    bytes = cast<kernel::TableType>(argument.getType()).getRowBytes();
  return farAt(buffer(argument), row, bytes);
}

Value Frame::slotAt(Value cacheArgument, Value slot) {
  return e.atByte(buffer(cacheArgument), e.mul(e.extend(slot), wideStepField(abi::stepCacheSlotBytes)));
}

void Frame::share(Value count, llvm::function_ref<void(Value)> body) { e.loop(thread, count, threads, body); }

void Frame::loopInShared(Value begin, Value end, Value step, llvm::function_ref<void(Value)> body) {
  Value numbers = allocate(threads * 4), ends = allocate(threads * 4);
  Value number = e.at(numbers, thread, e.i32()), limit = e.at(ends, thread, e.i32());
  e.store(begin, number);
  e.store(end, limit);
  SmallVector<Type> types(2, e.i32());
  SmallVector<Location> locations(2, e.loc);
  auto loop = scf::WhileOp::create(e.b, e.loc, types, ValueRange{begin, end});
  OpBuilder::InsertionGuard guard(e.b);
  Block *before = e.b.createBlock(&loop.getBefore(), {}, types, locations);
  ValueRange arguments = before->getArguments();
  scf::ConditionOp::create(e.b, e.loc, e.less(arguments[0], arguments[1]), arguments);
  Block *inside = e.b.createBlock(&loop.getAfter(), {}, types, locations);
  body(inside->getArgument(0));
  Value next = e.add(e.load(e.i32(), number), step);
  e.store(next, number);
  scf::YieldOp::create(e.b, e.loc, ValueRange{next, e.load(e.i32(), limit)});
}

SequencePart SequencePart::mirrored(Emitter &e) const {
  Value rows = e.sub(sequenceEnd, sequenceBegin);
  return {sequenceBegin, sequenceEnd, e.sub(rows, end), e.sub(rows, begin)};
}

SequencePart partOf(Frame &frame, int64_t sequence, int64_t rowsPerTile, Value rowBegin, Value rowEnd) {
  Emitter &e = frame.e;
  if (rowsPerTile == sequence)
    return {rowBegin, rowEnd, e.constant(0), e.sub(rowEnd, rowBegin)};
  Value first = e.sub(rowBegin, e.rem(rowBegin, sequence));
  Value end = e.min(e.add(first, sequence), frame.domainRows(kernel::Domain::Rows));
  return {first, end, e.sub(rowBegin, first), e.sub(rowEnd, first)};
}

void forEachTile(Frame &frame, const kernel::Grid &grid,
                 llvm::function_ref<void(Value, Value, Value, Value)> body) {
  Emitter &e = frame.e;
  if (frame.isCrowded)
    frame.keepStep(abi::stepSelected + 8); // each tile reads the rows there
  TileNumbers<Frame> numbers(frame, grid);
  Value tiles = e.mul(e.mul(e.constant(grid.columns), numbers.rowTiles), numbers.keyTiles);
  auto visit = [&](Value tile) {
    (frame.isCrowded ? TileNumbers<Frame>(frame, grid) : numbers).visit(tile, body);
    e.barrier();
  };
  if (frame.isCrowded)
    return frame.loopInShared(e.block(), tiles, e.blocks(), visit);
  e.loopBy(e.div(e.block(), frame.blocksOfTile), tiles, e.div(e.blocks(), frame.blocksOfTile), visit);
}

} // namespace sinter::gpu
