// SPDX-License-Identifier: Apache-2.0
// What both directions of attention among the rows of the step share: which keys a row sees, and scores,
// which are exponents of 2: log2(e) * (cap(scale * q.k) - slope * distance). 64 queries by 64 keys at a time.
#ifndef SINTER_PASSES_LOWERING_GPU_TRAINING_SELFATTENTION_H
#define SINTER_PASSES_LOWERING_GPU_TRAINING_SELFATTENTION_H

#include "passes/lowering/gpu/matmul/FloatTile.h"
#include "passes/lowering/gpu/training/SelfAttentionRows.h"

namespace sinter::gpu {

/// Rows, and groups of four columns, that a thread has of a tile.
inline constexpr int64_t rowCount = FloatTile::rows, quadCount = FloatTile::quads;

class SelfAttention : public SelfAttentionRows {
public:
  static constexpr int64_t block = FloatTile::side;

  template <typename OpT>
  SelfAttention(Frame &frame, OpT op)
      : SelfAttentionRows(frame, op), tile(frame), lowest(frame.allocate(4 * 2)),
        firstSeen(frame.allocate(4 * block)) {
    if (dropout)
      keysOfRows = frame.allocate(8 * block);
  }

  /// 64 queries of a head from row `first` on: finds what each sees. All threads come here together.
  void setQueries(mlir::Value ofHead, mlir::Value first);
  /// Makes `row` and `first` again, which would hold registers while products are made.
  void recall();
  /// The first of the queries, so that addresses are made again.
  mlir::Value queryBegin() { return e.fresh(firstQuery); }
  /// Runs `body` for the first key of each block of keys that one of the queries sees.
  void forEachKeys(llvm::function_ref<void(mlir::Value firstKey)> body);
  llvm::SmallVector<mlir::Value> forEachKeys(
      mlir::ValueRange carried,
      llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::Value firstKey, mlir::ValueRange carried)>
          body);

  /// Products of `size` numbers of a head: of 64 rows of `a` from `first` on and 64 of `b` from `second` on.
  llvm::SmallVector<mlir::Value> products(mlir::Value a, mlir::Value first, mlir::Value headA, mlir::Value b,
                                          mlir::Value second, mlir::Value headB, int64_t size);
  /// sums + the products of what lies in shared memory as [k][line] and of columns from `column` on of the
  /// head's rows from `first` on, which are its k.
  llvm::SmallVector<mlir::Value> weighted(mlir::Value shared, mlir::Value argument, mlir::Value first,
                                          mlir::Value ofHead, int64_t size, mlir::Value column,
                                          mlir::ValueRange sums);

  /// A quad of scores of the thread's row `row` (0 to 7) from products with keys from `firstKey` on;
  /// `capped`, when not null, gets tanh(s / cap).
  mlir::Value score(mlir::Value products, int64_t row, mlir::Value firstKey, mlir::Value *capped = nullptr);
  /// Which of 4 keys from `firstKey` on the row sees (a vector of i1).
  mlir::Value sees(int64_t row, mlir::Value firstKey);
  /// What the probabilities of 4 keys are multiplied by; only with dropout.
  mlir::Value dropoutFactors(int64_t row, mlir::Value firstKey);

  FloatTile tile;
  mlir::Value queryEnd;
  /// Of the thread's 8 rows: number in the sequence, the first key it sees (behind the row where there is
  /// none).
  llvm::SmallVector<mlir::Value> row, first;

private:
  llvm::SmallVector<mlir::Value> dropoutKeys;
  mlir::Value firstQuery, least;
  // Shared memory: of the two warps; of the 64 rows (i32, and i64 with dropout).
  mlir::Value lowest, firstSeen, keysOfRows;
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_TRAINING_SELFATTENTION_H
