// SPDX-License-Identifier: Apache-2.0
// What the emitters of kernel.matmul share: the operation with its layouts, its tiles, and its epilogues.
//
// A tile's columns are done in chunks: accumulators of a chunk go to shared memory, then its epilogues run.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_MATMUL_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_MATMUL_H

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/gpu/Frame.h"

namespace sinter::gpu {

class TileStores;

struct Matmul {
  Matmul(Frame &frame, kernel::MatmulOp op, int64_t widestChunk);

  Frame &frame;
  Emitter &e;
  mutable kernel::MatmulOp op; // operations have no const accessors
  int64_t inputs, outputs;
  llvm::SmallVector<kernel::WeightLayout> layouts; // of each weight
  llvm::SmallVector<mlir::Value> weights;          // their addresses
  int64_t columnsPerTile, columnsPerChunk;
  int64_t maxGroup = 1;
  /// Whether a group may begin in one chunk and end in the next.
  bool straddles = false;
  /// Column of the weights that is column 0 of the expert at hand; null without experts.
  mlir::Value expertColumn;
  /// Where epilogues store by tensor maps; null elsewhere.
  TileStores *tileStores = nullptr;
  /// Parts of K, each a tile of its own; that of the tile, from 0; rows of the accumulators, all of which
  /// have numbers (SplitK.h).
  int64_t splits;
  mlir::Value split;
  int64_t sumRows = 0;
  /// Whether the blocks of a tile's parts are of one cluster; the barriers by which they meet. Where others
  /// are between them: the rank of the first one (i32), and how far the next one's is from it.
  bool isClustered = false;
  mlir::Value partBarriers, firstPeer;
  int64_t peersApart = 1;
  /// Whether this is the first chunk of the block's first tile (i1).
  mlir::Value isFirstChunk;

  /// Panels that a chunk touches, at most.
  int64_t panelsPerChunk() const;
  /// Columns of accumulators of a chunk: whole panels.
  int64_t accumulatorColumns() const { return panelsPerChunk() * kernel::panelRows; }

  /// Groups of a range in a chunk, if every chunk has that many or none; 0 if not.
  int64_t groupsPerChunk(kernel::RangeOp range) const;

  /// Runs `body` for each chunk of columns and the rows of its tile. Rows of experts: those of one expert.
  using ChunkBody =
      llvm::function_ref<void(mlir::Value begin, mlir::Value end, mlir::Value rowBegin, mlir::Value rowEnd)>;
  void forEachChunk(ChunkBody body);
  /// Panels that hold columns begin to end - 1 and the rest of the last group that begins there.
  mlir::Value firstPanel(mlir::Value begin);
  mlir::Value panelEnd(mlir::Value end);
  mlir::Value panel(int64_t weight, mlir::Value index);

  /// Of `steps` steps along K: those of the tile's part; the least number that a part has; step `number` of
  /// the part.
  mlir::Value stepsOfSplit(int64_t steps);
  int64_t fewestSteps(int64_t steps) const { return steps / splits; }
  mlir::Value stepOfSplit(mlir::Value number, int64_t steps);
  /// Rows of `rows` accumulators whose epilogue a block has.
  int64_t rowsOfBlock(int64_t rows) const { return isClustered ? rows / splits : rows; }
};

/// f32 accumulators in shared memory: (weight, row, column), column 0 being the first of panel `panel`.
struct Accumulators {
  mlir::Value address;
  int64_t rowStride = 0, weightStride = 0; // elements
  int64_t rows = 0;                        // that have numbers, whatever rows a tile lacks; 0: only a tile's
  mlir::Value at(Emitter &e, int64_t weight, mlir::Value row, mlir::Value column) const;
};

/// Shared memory that the epilogues keep, by `threads` of a block.
int64_t epilogueBytes(Matmul &m, int64_t threads);

/// Runs the epilogues of the groups that begin in columns begin to end - 1, for `rows` rows from `firstRow`
/// on. The block has waited for the accumulators, and does so again before it overwrites them. Where K is
/// split: the block that is done last, or each block of a cluster for its share of the rows.
mlir::LogicalResult emitEpilogues(Matmul &m, const Accumulators &accumulators, mlir::Value panel,
                                  mlir::Value begin, mlir::Value end, mlir::Value firstRow, mlir::Value rows);

/// A product of the left rows by some columns of a weight.
struct Product {
  int64_t weight;
  mlir::Value firstRow, rows; // i32: rows from the first one to the last of the step or the expert
  mlir::Value column, inTile; // the first column of the weights, and of the accumulators
  mlir::Value expert;         // its number (i32); null without experts
};
/// Runs `body`, which fills the accumulators, for each weight and `columns` of its columns, then the
/// epilogues: for each chunk of columns, as many rows at a time as the accumulators have. Of weights as they
/// lie or transposed.
mlir::LogicalResult emitProducts(Matmul &m, const Accumulators &accumulators, int64_t columns,
                                 llvm::function_ref<void(const Product &)> body);

/// Few rows at a time, every weight read once for them; any left side.
mlir::LogicalResult emitStreamedMatmul(Frame &frame, kernel::MatmulOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_MATMUL_H
