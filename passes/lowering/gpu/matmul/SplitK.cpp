// SPDX-License-Identifier: Apache-2.0
// Sums of a tile whose K is split, `kernel.split_k` of them: each block stores its part's, and adds one to
// the tile's counter. Who finds that the others have done so reads all parts, adds them in the order of K,
// sets the counter back to 0 and runs the epilogue. Nobody waits for another block, so any number of blocks
// is right, and the order of sums does not depend on who is last.
//
// The parts lie behind the address that is the kernel's last parameter, (tile, part, weight, row, column) in
// f32, the counters before it: tile t's is the u32 t + 1 before.
#include "passes/lowering/gpu/matmul/SplitK.h"

#include "passes/lowering/gpu/matmul/MatmulTensor.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <numeric>

using namespace mlir;

namespace sinter::gpu {

bool canSplit(kernel::MatmulOp op) {
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  int64_t columns = schedule ? schedule.getColumnsPerTile() : 0, whole = kernel::panelRows;
  if (!fitsTensorCores(op) || op.getExperts() || !columns || op.getOutputs() % columns)
    return false;
  bool straddles = false;
  for (auto range : op.getRanges().getOps<kernel::RangeOp>()) {
    int64_t group = range.getGroup(), begin = range.getBegin();
    straddles |= columns % group || begin % group;
    whole = std::lcm(whole, group);
  }
  constexpr int64_t shortest = 64, longest = 256; // chunks of columns of all forms
  return !straddles && columns % kernel::panelRows == 0 &&
         (columns <= shortest || (columns == whole && columns <= longest));
}

/// One more at `address`, seen by all blocks; what the block's threads wrote before a barrier is visible to
/// who finds the new number, and what blocks wrote whose numbers are found here. Yields the number before.
static Value addOne(Emitter &e, Value address) {
  auto dialect = LLVM::AsmDialectAttr::get(e.b.getContext(), LLVM::AsmDialect::AD_ATT);
  return LLVM::InlineAsmOp::create(e.b, e.loc, TypeRange{e.i32()}, ValueRange{address},
                                   "atom.acq_rel.gpu.global.add.u32 $0, [$1], 1;", "=r,l,~{memory}",
                                   /*has_side_effects=*/true, /*is_align_stack=*/false,
                                   LLVM::TailCallKind::None, dialect, ArrayAttr())
      .getResult(0);
}

Value combineSplits(Matmul &m, const Accumulators &accumulators, Value firstRow, Value begin) {
  Emitter &e = m.e;
  Frame &frame = m.frame;
  int64_t columns = m.columnsPerChunk, quads = columns / 4, weights = m.weights.size();
  int64_t weightBytes = m.sumRows * columns * 4;
  assert(m.sumRows && m.outputs % columns == 0 && "tiles are whole");
  // Tiles of rows begin at multiples of this.
  int64_t unit = std::gcd(m.sumRows, m.op.getScheduleAttr().getRowsPerTile());
  frame.splitK = {m.splits, unit, m.outputs / columns, weights * weightBytes};

  Value tile = e.add(e.mul(e.div(firstRow, unit), m.outputs / columns), e.div(begin, columns));
  Value all = frame.farAt(frame.splitSums(), tile, m.splits * weights * weightBytes);
  Value mine = frame.farAt(all, m.split, weights * weightBytes);
  Value counter = frame.farAt(e.atByte(frame.splitSums(), -4), tile, -4);
  Value numberBefore = frame.allocate(4);
  Type four = e.vec(4, e.f32());
  // A thread takes 4 columns of a row at a time.
  auto forEachQuad = [&](llvm::function_ref<void(Value, Value)> body) { // offset in a part, accumulators
    for (int64_t weight = 0; weight < weights; ++weight)
      frame.share(e.constant(m.sumRows * quads), [&](Value item) {
        Value place = accumulators.at(e, weight, e.div(item, quads), e.mul(e.rem(item, quads), 4));
        body(e.add(e.mul(item, 16), weight * weightBytes), place);
      });
  };
  forEachQuad(
      [&](Value offset, Value place) { e.storeAligned(e.loadAligned(four, place), e.atByte(mine, offset)); });
  e.barrier();
  Value isFirstThread = e.equal(frame.thread, e.constant(0));
  e.ifThen(isFirstThread, [&] { e.store(addOne(e, counter), numberBefore); });
  e.barrier();
  Value isLast = e.equal(e.load(e.i32(), numberBefore), e.constant(m.splits - 1));
  e.ifThen(isLast, [&] {
    e.ifThen(isFirstThread, [&] { e.store(e.constant(0), counter); });
    forEachQuad([&](Value offset, Value place) {
      Value from = e.atByte(all, offset), sum = e.loadAligned(four, from);
      for (int64_t split = 1; split < m.splits; ++split)
        sum = e.addF(sum, e.loadAligned(four, e.atByte(from, split * weights * weightBytes)));
      e.storeAligned(sum, place);
    });
    e.barrier();
  });
  return isLast;
}

} // namespace sinter::gpu
