// SPDX-License-Identifier: Apache-2.0
// kernel.rows: a block a row, or a part of a warp a group of columns.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/RegionPlan.h"

#include <numeric>

using namespace mlir;

namespace sinter::gpu {

/// Threads of a multiprocessor that are planned for, up to 64 registers each, and all registers.
constexpr int64_t residentThreads = 1024, smRegisters = 64 * 1024;

/// As many threads as the longest vector gives work for, by powers of 2; where registers hold a row, as few
/// as can: most of what a small piece of a row costs is finding and reducing it. Where there is a choice no
/// more than 256: the kernel of a whole step then leaves 168 registers to matmuls
/// (passes/lowering/MakePersistent.cpp).
static int64_t threadsOf(Region &region, const RegionPlan &plan) {
  int64_t longest = 1, threads = warpSize;
  for (Operation &op : region.front())
    for (Value operand : op.getOperands())
      if (isVector(operand))
        longest = std::max(longest, lengthOf(operand));
  bool isCheap = plan.isLocal && llvm::none_of(region.front(), [](Operation &op) { return isSource(&op); });
  while (threads < (isCheap ? 512 : 256) &&
         (isCheap ? !holdsAll(plan, threads) : threads * plan.elements < longest))
    threads *= 2;
  return threads;
}

/// Fewer blocks where a thread's part of the vectors that wait for a later phase, and of one that is being
/// made, would not fit in 64 registers: a norm's gradient has three that wait.
static int64_t blocksPerSm(const RegionPlan &plan, int64_t threads) {
  int64_t registers = 64, others = 24;
  if (holdsAll(plan, threads))
    registers = std::max<int64_t>(registers,
                                  (plan.waiting + 1) * llvm::divideCeil(plan.length, threads) + others);
  return std::min(residentThreads, smRegisters / static_cast<int64_t>(llvm::alignTo(registers, 8))) / threads;
}

LogicalResult emitRows(Frame &frame, kernel::RowsOp op) {
  Emitter &e = frame.e;
  LogicalResult result = success();
  if (!op.getColumns()) {
    RegionPlan plan(op.getBody(), {1});
    frame.threads = threadsOf(op.getBody(), plan);
    frame.blocksPerSm = blocksPerSm(plan, frame.threads);
    Team team = Team::ofBlock(frame);
    forEachTile(frame, op.getGrid(), [&](Value, Value rowBegin, Value rowEnd, Value) {
      e.loop(rowBegin, rowEnd, 1, [&](Value row) {
        if (failed(emitRegion(frame, op.getBody(), {row}, {1}, team, Value())))
          result = failure();
        e.barrier(); // the next row's kept vectors take the place of this one's
      });
    });
    return result;
  }
  frame.blocksPerSm = residentThreads / frame.threads;
  int64_t columns = *op.getColumns(), group = *op.getGroup();
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  int64_t perTile = schedule && schedule.getColumnsPerTile() ? schedule.getColumnsPerTile() : columns;
  int64_t multiples[] = {1, group};
  Team team = Team::ofWarp(frame, teamSizeOf(op.getBody(), multiples));
  forEachTile(frame, op.getGrid(), [&](Value columnTile, Value rowBegin, Value rowEnd, Value) {
    // Groups that begin in the tile, for all its rows.
    Value begin = e.ceilDiv(e.mul(columnTile, perTile), group);
    Value end = e.min(e.ceilDiv(e.mul(e.add(columnTile, 1), perTile), group), e.constant(columns / group));
    Value width = e.sub(end, begin), count = e.mul(width, e.sub(rowEnd, rowBegin));
    // All teams of a warp go round together: the last ones without anything to store.
    e.loop(e.constant(0), count, team.count, [&](Value first) {
      Value item = e.add(first, team.index), active = e.less(item, count);
      item = e.min(item, e.sub(count, 1));
      Value row = e.add(rowBegin, e.div(item, width));
      Value column = e.mul(e.add(begin, e.rem(item, width)), group);
      if (failed(emitRegion(frame, op.getBody(), {row, column}, multiples, team, active)))
        result = failure();
    });
  });
  return result;
}

} // namespace sinter::gpu
