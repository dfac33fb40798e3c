// SPDX-License-Identifier: Apache-2.0
// Attention among the rows of the step by tensor cores, where a tile's rows are queries, 16 a warp, and it
// goes through the keys that one of them sees: which those are, their scores, and what of the forward pass
// follows from these. A lane has rows g and g + 8, and of every 8 keys 2t and 2t + 1.
#ifndef SINTER_PASSES_LOWERING_GPU_TRAINING_QUERYSCORES_H
#define SINTER_PASSES_LOWERING_GPU_TRAINING_QUERYSCORES_H

#include "passes/lowering/gpu/training/TensorSelfAttention.h"

namespace sinter::gpu {

class QueryScores {
protected:
  template <typename OpT>
  QueryScores(Frame &frame, OpT op, int64_t ownRows, int64_t blockKeys)
      : frame(frame), e(frame.e), a(frame, op), ownRows(ownRows), blockKeys(blockKeys) {}

  /// Sets what the lane's rows see, of the block's from `first` on; the result is the first key that one of
  /// the block's does. By all threads: it has a barrier.
  mlir::Value describeRows(mlir::Value first);
  mlir::Value keyOf(mlir::Value firstKey, int64_t tile) {
    return e.add(e.add(firstKey, a.laneColumn()), tile * 8);
  }
  /// Whether scores are more than a positive factor times products.
  bool isMore() const { return a.cap > 0 || a.slopes || a.scale <= 0; }
  mlir::Value factor();
  /// Where isMore(): products become scores. Where these are capped the result is 1 - tanh^2 of each.
  Numbers finishScores(mlir::Value firstKey, Numbers &scores);
  /// Lowest scores for keys that a row does not see. Most blocks are seen as a whole by all rows of the warp.
  void mask(mlir::Value firstKey, Numbers &scores);
  /// What probabilities of two neighbouring keys and row r are multiplied by.
  mlir::Value dropoutFactors(mlir::Value firstKey, int64_t tile, int64_t r);

  /// Calls `body` for each block of keys from `begin` on that one of the rows before `ownEnd` sees, then
  /// `pass` for those up to `end` that only others of the block see. `isOne`: there is one of the former,
  /// said for LLVM, which else makes a second state, of none.
  Numbers forEachKeys(mlir::Value begin, mlir::Value ownEnd, mlir::Value end, bool isOne,
                      mlir::ValueRange state, Emitter::CarriedBody body, Emitter::Body pass);

  Frame &frame;
  Emitter &e;
  TensorSelfAttention a;
  const int64_t ownRows, blockKeys; // of the block of threads; of a block of keys
  mlir::Value lowest;               // shared memory: the first key that a row of a warp sees
  mlir::Value firstRow, lastSeen;   // of the warp: its first row, and the last key that is the first of a row
  // Of the lane's two rows: number; first key, of the last row for those behind it; key of dropout.
  Numbers row, firstSeen, dropoutKeys;
};

class ForwardScores : protected QueryScores {
protected:
  ForwardScores(Frame &frame, kernel::SelfAttentionOp op, int64_t ownRows, int64_t blockKeys)
      : QueryScores(frame, op, ownRows, blockKeys), op(op) {}

  /// Calls `emitQueries` with the first of each block of rows of each tile.
  void forEachQueries(llvm::function_ref<void(mlir::Value first)> emitQueries);
  /// Two maxima, and two sums of weights.
  Numbers noWeights();
  /// Products become weights, 2^(score - maximum), and maxima and totals those with them. The result is
  /// whether a row of the warp has outgrown its maximum (i1, the warp's); `corrections` are then what is
  /// before is multiplied by.
  mlir::Value soften(mlir::Value firstKey, Numbers &scores, Numbers &running, Numbers &corrections);
  /// The sums, where `grows` times the corrections.
  Numbers whereGrown(mlir::Value grows, mlir::ValueRange sums, mlir::ValueRange corrections);
  /// Stores sums (8 columns, 4) by their totals, and the logarithms of these.
  void finish(llvm::ArrayRef<mlir::Value> running, Numbers sums);

  kernel::SelfAttentionOp op;

private:
  mlir::Value weigh(mlir::Value firstKey, Numbers &scores, int64_t r, mlir::Value maximum);
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_TRAINING_QUERYSCORES_H
