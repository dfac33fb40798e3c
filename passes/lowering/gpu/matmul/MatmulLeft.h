// SPDX-License-Identifier: Apache-2.0
// The left side of a matmul in shared memory: some rows as f32, and as 8-bit blocks with what their integers
// add up to.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULLEFT_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULLEFT_H

#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

class LeftSide {
public:
  /// For up to `most` rows (16, 8, 4, 2 or 1), or fewer where these do not fit `budget` bytes.
  LeftSide(Matmul &m, int64_t most, int64_t budget);
  /// The same for tensor cores: floats of all of `most` rows, where they do not fit in pieces. Rows are
  /// `shift` bytes further than a multiple of 128, for the banks. `cuts`: floats are kept as cutToTf32 makes
  /// them.
  LeftSide(Matmul &m, int64_t most, int64_t budget, int64_t shift, bool cuts = false);

  /// Rows that fit.
  int64_t rows() const { return capacity; }
  /// Row 0 from now on, where floats are far.
  void setFirst(mlir::Value row) { first = row; }
  /// Pieces that floats are made ready in, one after another: 1 where a row fits.
  int64_t pieces() const { return far ? 1 : llvm::divideCeil(paddedInputs(), pieceColumns); }
  /// Columns of the piece that was made ready last: begin to end - 1, up to paddedInputs.
  std::pair<int64_t, int64_t> piece() const {
    return {begin, std::min(begin + pieceColumns, paddedInputs())};
  }
  /// Makes rows first to first + count - 1 of the left side ready: of floats the piece `number`; integers are
  /// complete with the last one. What the prologue stores is stored where `stores` (i1). The whole block
  /// comes here, and has waited after.
  mlir::LogicalResult prepare(mlir::Value first, mlir::Value count, int64_t number, mlir::Value stores);

  /// f32 of a row (i32), from the first column of the piece on, with zeros up to paddedInputs.
  mlir::Value floats(mlir::Value row) { return m.e.atByte(floatRows, m.e.mul(row, floatBytes)); }
  /// Whether floats() are the first parts of numbers only; the second ones are cutBytes() further.
  bool isCut() const { return cuts; }
  int64_t cutBytes() const { return (floatBytes - shift) / 2; }
  /// `n` neighbouring numbers of a row from `column` (of the piece) on, as f32; up to paddedInputs.
  mlir::Value numbers(mlir::Value row, mlir::Value column, int64_t n);
  /// The row's integers; its scales, one a block.
  mlir::Value integers(mlir::Value row) { return m.e.atByte(quantRows, m.e.mul(row, quantBytes)); }
  mlir::Value scales(mlir::Value row) { return m.e.atByte(integers(row), m.inputs); }
  /// i32 sums of the integers of each sub-block of 32 or 16.
  mlir::Value sums(mlir::Value row, int64_t subBlock);

  int64_t sumBytes(int64_t subBlock) const {
    int64_t bytes = m.inputs / subBlock * 4;
    return shift ? llvm::alignTo(bytes, 128) + shift : bytes;
  }
  int64_t paddedInputs() const { return llvm::alignTo(m.inputs, 32); }
  int64_t rowBytes() const;

private:
  struct SumPlane {
    int64_t subBlock;
    mlir::Value address; // (rows, inputs / subBlock)
  };
  mlir::LogicalResult prepareRow(mlir::Value first, mlir::Value row, mlir::Value stores);
  /// Calls `body` with columns from `low` to high - 1 that are `n` apart, all threads together: where not
  /// inside, the last ones again.
  void forColumns(int64_t low, int64_t high, int64_t n,
                  llvm::function_ref<void(mlir::Value column, mlir::Value inside)> body);
  void plan();
  void allocate(int64_t most, int64_t budget);
  /// Whether rows are copied as they are in memory, for tensor cores.
  bool isCopied() const {
    return shift && needsFloats && m.op.getLeft() && !m.op.getLeft().getType().isQuantized();
  }
  void copyRows(mlir::Value first, mlir::Value count);
  void cutRows(mlir::Value count);
  void storeCut(mlir::Value vector, mlir::Value to);
  void copyRow(mlir::Value row, mlir::Value absolute);
  /// Of a row of the left side in memory: `n` numbers that there are, as f32.
  mlir::Value loadNumbers(mlir::Value from, mlir::Value column, int64_t n);
  void addSums(const SumPlane &plane, mlir::Value count);
  void fill(int64_t numbers, mlir::Value count, llvm::function_ref<mlir::Value(mlir::Value row)> rowAt);

  Matmul &m;
  Emitter &e;
  Team team;
  bool needsFloats = false, needsIntegers = false, far = false;
  int64_t shift = 0;
  bool cuts = false;
  int64_t capacity, floatBytes = 0, quantBytes = 0;
  int64_t pieceColumns, begin = 0;
  kernel::RowsType floatType, quantType;
  mlir::Value floatRows, quantRows, first;
  llvm::SmallVector<SumPlane> planes;
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULLEFT_H
