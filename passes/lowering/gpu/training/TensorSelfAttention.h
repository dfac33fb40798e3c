// SPDX-License-Identifier: Apache-2.0
// What both directions of attention among the rows of the step share where factors are rounded to bf16
// (kernel.bf16): heads of rows in shared memory, and their products by mma.sync m16n8k16 with f32 sums. A
// lane has rows g and g + 8 of 16, g = lane / 4, and of every 8 columns 2t and 2t + 1, t = lane % 4.
#ifndef SINTER_PASSES_LOWERING_GPU_TRAINING_TENSORSELFATTENTION_H
#define SINTER_PASSES_LOWERING_GPU_TRAINING_TENSORSELFATTENTION_H

#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/training/SelfAttentionRows.h"

#include <numeric>

namespace sinter::gpu {

using Numbers = llvm::SmallVector<mlir::Value>;

/// Rows of bf16 in shared memory.
class HalfBlock {
public:
  HalfBlock(Emitter &e, int64_t rows, int64_t columns, int64_t stages)
      : rows(rows), columns(columns), stages(stages), e(e) {}
  virtual ~HalfBlock() = default;
  /// Address of a number.
  virtual mlir::Value place(mlir::Value row, mlir::Value column) = 0;

  /// Where there are two stages: that of a block of rows from `first` on.
  void setStage(mlir::Value first) {
    if (stages > 1)
      stage = e.mul(e.rem(e.div(first, rows), stages), bytes());
  }
  /// Bytes of a stage.
  virtual int64_t bytes() const = 0;

  const int64_t rows, columns, stages;

protected:
  mlir::Value begin() { return stage ? e.atByte(base, stage) : base; }

  Emitter &e;
  mlir::Value base, stage;
};

/// Operands of mma.sync. A row takes an odd number of pieces of 16 bytes: the 8 rows of a matrix are
/// in different banks.
class HalfRows : public HalfBlock {
public:
  HalfRows(Frame &frame, int64_t rows, int64_t columns, int64_t stages = 1)
      : HalfRows(frame.e, rows, columns, stages) {
    base = frame.allocate(stages * bytes());
  }
  /// Rows in the memory of all stages of another block.
  HalfRows(HalfRows &other, int64_t rows) : HalfRows(other.e, rows, other.columns, 1) {
    assert(bytes() <= other.stages * other.bytes() && "there is no more memory");
    base = other.base;
  }

  mlir::Value place(mlir::Value row, mlir::Value column) override;
  int64_t bytes() const override { return rows * stride; }

  //--- operands that begin at (first + row, column), `first` of the same in all lanes of a warp
  /// 16 rows by 16 along K.
  Four left(mlir::Value first, int64_t column) { return matrices(first, 0, {}, column, true, false); }
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
  HalfRows(Emitter &e, int64_t rows, int64_t columns, int64_t stages);

  const int64_t stride; // bytes
};

class TensorSelfAttention : public SelfAttentionRows {
public:
  using SelfAttentionRows::SelfAttentionRows;

  /// Of a row on its way to shared memory, what a thread brings by one access.
  struct Piece {
    mlir::Value column, from; // in shared memory; in memory, which may have fewer columns
    mlir::Value numbers;      // f32
  };
  /// What a thread has of a row of a block, and with it `lanes` neighbours.
  struct RowPieces {
    mlir::Value row, line; // in the block, and of the sequence
    llvm::SmallVector<Piece> pieces;
    int64_t lanes;
  };
  /// Brings one head of the rows from `first` on, as many as `to` has. Behind the last row of the sequence
  /// lies that one again, behind `size` numbers lie zeros. Rows that are bf16 already, of whole 16 bytes, go
  /// by cp.async.
  void bring(HalfBlock &to, mlir::Value argument, mlir::Value first, mlir::Value ofHead, int64_t size);
  void bringKeys(HalfBlock &keys, HalfBlock &values, mlir::Value first, mlir::Value keyHead);
  /// The same through registers: `body` is called with each row that the thread has a part of.
  void bring(HalfBlock &to, mlir::Value argument, mlir::Value first, mlir::Value ofHead, int64_t size,
             llvm::function_ref<void(const RowPieces &)> body);
  /// Before the barrier behind which what was brought is read.
  void awaitCopies();

  /// Products (rows of b / 8, 4) of 16 rows, left operands of each 16 columns, and all rows of `b`.
  Numbers multiplyRows(llvm::function_ref<Four(int64_t step)> left, HalfRows &b);
  /// sums (columns / 8, 4) + left operands (16 columns, 4) * columns of `b` from `column` on.
  void addWeighted(mlir::ValueRange left, HalfRows &b, mlir::Value column, Numbers &sums);
  /// Numbers (8 columns, 4) rounded: left operands (16 columns, 4).
  Numbers pairsOf(mlir::ValueRange numbers);

  /// Stores sums (8 columns, 4) as numbers from `column` on of a head's 16 rows from `first` of the sequence
  /// on, those that there are.
  void storeRows(mlir::ValueRange sums, mlir::Value argument, mlir::Value first, mlir::Value ofHead,
                 int64_t size, mlir::Value column);

  /// The sum over a row times that of `output`, to `to`.
  void storeDot(const RowPieces &row, mlir::Value output, mlir::Value ofHead, mlir::Value to);

  /// g and 2t.
  mlir::Value laneRow() { return e.div(frame.lane(), 4); }
  mlir::Value laneColumn() { return e.mul(e.rem(frame.lane(), 4), 2); }

private:
  /// The thread that brings rows, as each block makes it again: addresses wait in no registers.
  mlir::Value bringer() { return common ? common : e.fresh(frame.thread); }
  mlir::Value common; // to several blocks
  bool hasCopied = false;

  /// Calls `body` for each row that the thread has a part of: its number in the block, that of the sequence,
  /// its address in memory, and the thread's number among the neighbours that share it, with `unit` numbers
  /// each.
  using RowBody =
      llvm::function_ref<void(mlir::Value row, mlir::Value line, mlir::Value source, mlir::Value lane)>;
  void forEachRow(const HalfBlock &to, mlir::Value argument, mlir::Value first, mlir::Value ofHead,
                  int64_t size, int64_t unit, RowBody body);
  /// In units of `unit` numbers.
  static int64_t lanesOf(const HalfBlock &to, int64_t unit) { return std::gcd(to.columns / unit, warpSize); }
};

/// Whether factors are rounded and tensor cores have this attention: heads are up to 256 long.
template <typename OpT> bool fitsTensorSelfAttention(OpT op) {
  auto heads = static_cast<int64_t>(op.getHeads()), keyHeads = static_cast<int64_t>(op.getKvHeads());
  return op->hasAttr("kernel.bf16") && op.getQuery().getType().getColumns() <= 256 * heads &&
         op.getValue().getType().getColumns() <= 256 * keyHeads;
}
template <typename OpT> std::array<int64_t, 2> headSizesOf(OpT op) {
  return {op.getQuery().getType().getColumns() / static_cast<int64_t>(op.getHeads()),
          op.getValue().getType().getColumns() / static_cast<int64_t>(op.getKvHeads())};
}
/// The longer one of a head's rows of keys and of values.
template <typename OpT> int64_t longestHead(OpT op) { return llvm::max_element(headSizesOf(op))[0]; }
/// What columns in shared memory are a multiple of where `threads` bring blocks of `rows`: so each thread has
/// as many of their pieces.
inline int64_t columnUnit(int64_t threads, int64_t rows) { return std::max<int64_t>(16, 8 * threads / rows); }
/// Rows of a block of threads, 16 a warp: 128 where tiles are multiples of that and heads are no longer then
/// in shared memory, else 64. `rows`: the least of a block that is brought.
template <typename OpT> int64_t ownRowsOf(OpT op, int64_t rows) {
  bool fits = llvm::all_of(headSizesOf(op), [&](int64_t size) {
    return llvm::alignTo(size, columnUnit(2 * 128, rows)) == llvm::alignTo(size, 16);
  });
  return longestHead(op) <= 128 && op.getRowsPerTile() % 128 == 0 && fits ? 128 : 64;
}
void emitTensorSelfAttention(Frame &frame, kernel::SelfAttentionOp op);
/// The same by wgmma.
bool fitsWarpgroupSelfAttention(Frame &frame, kernel::SelfAttentionOp op);
void emitWarpgroupSelfAttention(Frame &frame, kernel::SelfAttentionOp op, int64_t ownRows);
void emitTensorSelfAttentionBackward(Frame &frame, kernel::SelfAttentionBackwardOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_TRAINING_TENSORSELFATTENTION_H
