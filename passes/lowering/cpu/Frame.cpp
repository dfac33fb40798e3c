// SPDX-License-Identifier: Apache-2.0
// Addresses of rows, fields of the step, and the loop over tiles.
#include "passes/lowering/cpu/Frame.h"

#include "passes/lowering/StepOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::cpu {

Value Frame::allocate(int64_t bytes) {
  Value address = e.atByte(scratch, scratchBytes);
  scratchBytes += (bytes + 63) / 64 * 64;
  return address;
}

Value Frame::stepField(int64_t offset) { return e.load(e.i64(), e.atByte(step, offset)); }

Value Frame::stepFloat(int64_t offset) { return e.load(e.f32(), e.atByte(step, offset)); }

Value Frame::stepAdds() {
  return arith::ExtUIOp::create(e.b, e.loc, e.i64(), e.load(e.i32(), e.atByte(step, abi::stepAdds)));
}

Value Frame::stepPointer(int64_t offset) { return e.load(e.ptr(), e.atByte(step, offset)); }

Value Frame::stepEntry(int64_t offset, Value row) {
  Value array = stepPointer(offset);
  return e.integer(e.load(e.i32(), e.at(array, row, e.i32())));
}

Value Frame::domainRows(kernel::Domain domain) {
  return stepField(domain == kernel::Domain::Rows ? abi::stepRows : abi::stepSelected);
}

Value Frame::rowOf(Value argument, Value row) {
  int64_t bytes = 0;
  if (auto rows = dyn_cast<kernel::RowsType>(argument.getType()))
    bytes = rows.getRowBytes();
  else
    bytes = cast<kernel::TableType>(argument.getType()).getRowBytes();
  return e.atByte(buffer(argument), e.mul(row, bytes));
}

Value Frame::slotOf(Value cacheArgument, Value row) {
  Value slot = stepEntry(abi::stepSlots, row);
  return e.atByte(buffer(cacheArgument), e.mul(slot, stepField(abi::stepCacheSlotBytes)));
}

void forEachTile(Frame &frame, const kernel::Grid &grid,
                 llvm::function_ref<void(Value, Value, Value, Value)> body) {
  TileNumbers<Frame> numbers(frame, grid);
  frame.e.loop(frame.begin, frame.end, 1, [&](Value tile) { numbers.visit(tile, body); });
}

} // namespace sinter::cpu
