// SPDX-License-Identifier: Apache-2.0
// kernel.rows: its program for each row of a tile, or for each group of columns of each row.
#include "passes/lowering/cpu/Emitters.h"
#include "passes/lowering/cpu/RowProgram.h"

using namespace mlir;

namespace sinter::cpu {

LogicalResult emitRows(Frame &frame, kernel::RowsOp op) {
  Emitter &e = frame.e;
  kernel::Grid grid = op.getGrid();
  LogicalResult result = success();
  forEachTile(frame, grid, [&](Value column, Value rowBegin, Value rowEnd, Value) {
    e.loop(rowBegin, rowEnd, 1, [&](Value row) {
      if (!op.getColumns()) {
        result = emitRow(frame, op.getBody(), row);
        return;
      }
      kernel::ScheduleAttr schedule = op.getScheduleAttr();
      int64_t perTile = grid.columns > 1 ? schedule.getColumnsPerTile() : *op.getColumns();
      Value first = e.mul(column, perTile);
      Value last = e.min(e.add(first, perTile), e.constant(*op.getColumns()));
      e.loop(first, last, *op.getGroup(),
             [&](Value at) { result = emitGroup(frame, op.getBody(), {row, at}); });
    });
  });
  return result;
}

} // namespace sinter::cpu
