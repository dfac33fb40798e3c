// SPDX-License-Identifier: Apache-2.0
// What the emitters of kernel.matmul share: the operation with its layouts, and its epilogues.
//
// Two forms. *Decode* (no rows_per_tile in the schedule): all rows of the domain in one tile, 16 at a time;
// bound by reading the weights once. *Prefill* (rows_per_tile): tiles of columns x rows; bound by
// multiply-adds. In both, the number of a row and column comes from the same operations in the same order,
// whatever the other rows:
//   floats     acc = fma(left[k], weight[k], acc), k from 0 up
//   quantised  by sub-block: the exact integer dot product s; acc = fma(s, scale * leftScale, acc), then for
//              formats with minima acc = fma(minimum, leftScale * sum of the left integers, acc)
#ifndef SINTER_PASSES_LOWERING_CPU_MATMUL_MATMUL_H
#define SINTER_PASSES_LOWERING_CPU_MATMUL_MATMUL_H

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/cpu/Frame.h"

namespace sinter::cpu {

struct Matmul {
  Matmul(Frame &frame, kernel::MatmulOp op);

  Frame &frame;
  Emitter &e;
  kernel::MatmulOp op;
  int64_t inputs, outputs;
  llvm::SmallVector<kernel::WeightLayout>
      layouts;                            // of each weight; of the transpose where that is multiplied
  llvm::SmallVector<mlir::Value> weights; // their addresses
  int64_t columnsPerTile, rowsPerTile;
  int64_t maxGroup = 1;
  /// Whether a group may begin in one tile and end in the next.
  bool straddles = false;
  /// Column of the weights that is column 0 of the expert at hand; null without experts.
  mlir::Value expertColumn;

  /// Runs `body` for each expert that has rows and tiles, or once for all rows of the domain: the column
  /// tiles of the call, and the rows. A tile is number `column tile * experts + expert`: a call has its share
  /// of every expert.
  void forEachExpert(llvm::function_ref<void(mlir::Value tileBegin, mlir::Value tileEnd, mlir::Value rowBegin,
                                             mlir::Value rowEnd)>
                         body);

  int64_t scheduled(int64_t value, int64_t otherwise) const { return value ? value : otherwise; }
  kernel::ScheduleAttr schedule();
  /// Panels that hold columns begin to end - 1 and the rest of the last group that begins there.
  mlir::Value firstPanel(mlir::Value begin);
  mlir::Value panelEnd(mlir::Value end);
  /// Room for the columns of such panels, when end - begin <= columns.
  int64_t accumulatorColumns(int64_t columns) const;
  mlir::Value panel(int64_t weight, mlir::Value index);
};

/// f32 accumulators in memory: (weight, row, column), column 0 being the first of panel `panel`.
struct Accumulators {
  mlir::Value address;
  int64_t rowStride = 0, weightStride = 0; // elements
  mlir::Value at(Emitter &e, int64_t weight, mlir::Value row, mlir::Value column) const;
};

/// Runs the epilogues of the groups that begin in columns begin to end - 1, for `rows` rows from `firstRow`
/// on.
mlir::LogicalResult emitEpilogues(Matmul &m, const Accumulators &accumulators, mlir::Value panel,
                                  mlir::Value begin, mlir::Value end, mlir::Value firstRow, mlir::Value rows);

mlir::LogicalResult emitDecodeMatmul(Matmul &m);
mlir::LogicalResult emitPrefillMatmul(Matmul &m);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_MATMUL_MATMUL_H
