// SPDX-License-Identifier: Apache-2.0
// Addresses of rows, fields of the step, and the loop over a block's tiles.
#include "passes/lowering/gpu/Frame.h"

#include "passes/lowering/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

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

void forEachTile(Frame &frame, const kernel::Grid &grid,
                 llvm::function_ref<void(Value, Value, Value, Value)> body) {
  Emitter &e = frame.e;
  TileNumbers<Frame> numbers(frame, grid);
  Value tiles = e.mul(e.mul(e.constant(grid.columns), numbers.rowTiles), numbers.keyTiles);
  e.loopBy(e.block(), tiles, e.blocks(), [&](Value tile) {
    numbers.visit(tile, body);
    e.barrier();
  });
}

} // namespace sinter::gpu
