// SPDX-License-Identifier: Apache-2.0
// What both directions of attention among the rows of the step share where factors are rounded to bf16
// (kernel.bf16): heads of rows in shared memory, and their products by mma.sync m16n8k16 with f32 sums. A
// lane has rows g and g + 8 of 16, g = lane / 4, and of every 8 columns 2t and 2t + 1, t = lane % 4.
#ifndef SINTER_PASSES_LOWERING_GPU_TRAINING_TENSORSELFATTENTION_H
#define SINTER_PASSES_LOWERING_GPU_TRAINING_TENSORSELFATTENTION_H

#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/training/SelfAttentionRows.h"

namespace sinter::gpu {

using Numbers = llvm::SmallVector<mlir::Value>;

/// Rows of bf16 in shared memory.
struct HalfBlock {
  HalfBlock(int64_t rows, int64_t columns) : rows(rows), columns(columns) {}
  virtual ~HalfBlock() = default;
  /// Address of a number.
  virtual mlir::Value place(mlir::Value row, mlir::Value column) = 0;

  const int64_t rows, columns;
};

/// Operands of mma.sync. A row takes an odd number of pieces of 16 bytes: the 8 rows of a matrix are
/// in different banks.
class HalfRows : public HalfBlock {
public:
  HalfRows(Frame &frame, int64_t rows, int64_t columns);

  mlir::Value place(mlir::Value row, mlir::Value column) override;

  //--- operands that begin at (first + row, column), `first` of the same in all lanes of a warp
  /// 16 rows by 16 along K.
  Four left(mlir::Value first, int64_t column) { return matrices(first, 0, {}, column, true, false); }
  /// 16 along K by 16 rows, which are columns here, from `firstColumn` on.
  Four leftTurned(int64_t row, mlir::Value firstColumn) {
    return matrices({}, row, firstColumn, 0, false, true);
  }
  /// Two of 8 columns, which are rows here, by 16 along K.
  Four right(int64_t row, int64_t column) { return matrices({}, row, {}, column, false, false); }
  /// Two of 16 along K by 8 columns.
  Four rightTurned(int64_t row, mlir::Value firstColumn, int64_t column) {
    return matrices({}, row, firstColumn, column, true, true);
  }

  /// The lane that operands are for, as each product makes it again, and with it their addresses.
  mlir::Value lane;

private:
  /// Four matrices of 8 x 8. `isTall`: the second one is below the first one, else beside it.
  Four matrices(mlir::Value firstRow, int64_t row, mlir::Value firstColumn, int64_t column, bool isTall,
                bool isTurned);

  Emitter &e;
  const int64_t stride; // bytes
  mlir::Value base;
};

class TensorSelfAttention : public SelfAttentionRows {
public:
  /// Keys, and queries at most, of a block.
  static constexpr int64_t block = 64;

  using SelfAttentionRows::SelfAttentionRows;

  /// Of rows on their way to shared memory, what a thread brings by one access: numbers of `row` of the
  /// block, which is `line` of the sequence; in memory from `from` on, in shared memory from `column` on.
  struct Piece {
    mlir::Value row, line, from, column, numbers;
  };
  struct Pieces {
    llvm::SmallVector<Piece> all;
    int64_t perRow; // that follow each other
    int64_t lanes;  // neighbours that share a row
  };
  /// One head of the rows from `first` on, as many as `to` has, for `put`. Behind the last row of the
  /// sequence lies that one again, behind `size` numbers lie zeros.
  Pieces fetch(const HalfBlock &to, mlir::Value argument, mlir::Value first, mlir::Value ofHead,
               int64_t size);
  void put(HalfBlock &to, const Pieces &pieces);
  /// The same at once, where rows are bf16 already and the head is of whole 16 bytes by cp.async.
  void bring(HalfBlock &to, mlir::Value argument, mlir::Value first, mlir::Value ofHead, int64_t size);
  /// Before the barrier behind which what was brought is read.
  void awaitCopies();

  /// Products (rows of b / 8, 4) of 16 rows of `a` from `first` on and all of `b`.
  Numbers multiplyRows(HalfRows &a, mlir::Value first, HalfRows &b);
  /// sums (columns / 8, 4) + left operands * columns of `b` from `column` on.
  void addWeighted(llvm::function_ref<Four(int64_t step)> left, HalfRows &b, mlir::Value column,
                   Numbers &sums);
  /// Numbers (8 columns, 4) rounded: left operands (16 columns, 4).
  Numbers pairsOf(mlir::ValueRange numbers);

  /// Stores sums (8 columns, 4) as numbers from `column` on of a head's 16 rows from `first` of the sequence
  /// on, those that there are; `adds` them to what is there.
  void storeRows(mlir::ValueRange sums, mlir::Value argument, mlir::Value first, mlir::Value ofHead,
                 int64_t size, mlir::Value column, bool adds);

  /// g and 2t.
  mlir::Value laneRow() { return e.div(frame.lane(), 4); }
  mlir::Value laneColumn() { return e.mul(e.rem(frame.lane(), 4), 2); }
};

/// Whether factors are rounded and tensor cores have this attention: heads are up to 256 long.
template <typename OpT> bool fitsTensorSelfAttention(OpT op) {
  auto heads = static_cast<int64_t>(op.getHeads()), keyHeads = static_cast<int64_t>(op.getKvHeads());
  return op->hasAttr("kernel.bf16") && op.getQuery().getType().getColumns() <= 256 * heads &&
         op.getValue().getType().getColumns() <= 256 * keyHeads;
}
void emitTensorSelfAttention(Frame &frame, kernel::SelfAttentionOp op);
/// The same by wgmma.
bool fitsWarpgroupSelfAttention(Frame &frame, kernel::SelfAttentionOp op);
void emitWarpgroupSelfAttention(Frame &frame, kernel::SelfAttentionOp op);
void emitTensorSelfAttentionBackward(Frame &frame, kernel::SelfAttentionBackwardOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_TRAINING_TENSORSELFATTENTION_H
