// SPDX-License-Identifier: Apache-2.0
// Rows of attention in training steps as wgmma takes them.
#ifndef SINTER_PASSES_LOWERING_GPU_TRAINING_SWIZZLEDROWS_H
#define SINTER_PASSES_LOWERING_GPU_TRAINING_SWIZZLEDROWS_H

#include "passes/lowering/gpu/Warpgroup.h"
#include "passes/lowering/gpu/training/TensorSelfAttention.h"

namespace sinter::gpu {

/// Rows as operands of wgmma: 64 columns are a line of 128 bytes, swizzled; the next 64 are behind all rows.
class SwizzledRows : public HalfBlock {
public:
  SwizzledRows(Frame &frame, int64_t rows, int64_t columns, int64_t stages = 1)
      : HalfBlock(frame.e, rows, columns, stages) {
    assert(frame.sharedBytes % 1024 == 0 && rows % 8 == 0 && "operands of wgmma begin at a multiple of 1024");
    base = frame.allocate(stages * bytes());
  }

  int64_t bytes() const override { return llvm::divideCeil(columns, 64) * rows * swizzledLine; }
  mlir::Value place(mlir::Value row, mlir::Value column) override {
    mlir::Value piece = e.div(column, 8), inPiece = e.mul(e.rem(column, 8), 2);
    mlir::Value at = e.add(e.mul(e.div(piece, 8), rows * swizzledLine), placeInLine(e, row, e.rem(piece, 8)));
    return e.atByte(begin(), e.add(at, inPiece));
  }

  /// Along K, from row `first` on, a multiple of 8, and 16 of K: step `step`.
  mlir::Value asRows(mlir::Value first = {}) {
    return describeRows(e, first ? e.atByte(begin(), e.mul(first, swizzledLine)) : begin());
  }
  mlir::Value rowsAt(mlir::Value described, int64_t step) const {
    return describeFurther(e, described, step / 4 * rows * swizzledLine + step % 4 * 32);
  }
  /// Along the product's columns, and 16 rows of K: step `step`.
  mlir::Value asColumns() { return describeColumns(e, begin(), rows * swizzledLine); }
  mlir::Value columnsAt(mlir::Value described, int64_t step) const {
    return describeFurther(e, described, step * 16 * swizzledLine);
  }

  /// Products of 64 rows of `left` from `first` on and those of `right`: asynchronous, in `registers` (rows
  /// of right / 8, 4).
  static Registers startProducts(SwizzledRows &left, mlir::Value first, SwizzledRows &right,
                                 mlir::ValueRange registers) {
    Emitter &e = left.e;
    Registers sums(registers);
    mlir::Value ofLeft = left.asRows(first), ofRight = right.asRows();
    for (int64_t step = 0; step < left.columns / 16; ++step) {
      mlir::Value a = left.rowsAt(ofLeft, step), b = right.rowsAt(ofRight, step);
      sums = step ? multiplyShared(e, e.bf16(), a, b, {}, sums, /*isLeftTransposed=*/false,
                                   /*isRightTransposed=*/false)
                  : startShared(e, e.bf16(), a, b, sums);
    }
    commitProducts(e);
    return sums;
  }
  /// sums (columns of right / 8, 4) + left operands (16 rows of right, 4) * right: asynchronous.
  static Registers startSums(mlir::ValueRange left, SwizzledRows &right, mlir::ValueRange before) {
    Emitter &e = right.e;
    mlir::Value ofRight = right.asColumns();
    Registers sums(before);
    for (int64_t step = 0; step < right.rows / 16; ++step)
      sums = multiply(e, e.bf16(), left.slice(step * 4, 4), right.columnsAt(ofRight, step), sums,
                      /*isTransposed=*/true);
    commitProducts(e);
    return sums;
  }
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_TRAINING_SWIZZLEDROWS_H
