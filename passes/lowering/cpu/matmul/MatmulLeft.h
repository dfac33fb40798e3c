// SPDX-License-Identifier: Apache-2.0
// The left side of a matmul, ready for the inner loops: f32 rows for float weights; for quantised ones int8
// in blocks of 32, their scales, and what depends on the sums of the integers.
#ifndef SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULLEFT_H
#define SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULLEFT_H

#include "passes/lowering/cpu/matmul/Matmul.h"

namespace sinter::cpu {

/// One kind of number a row: where row 0 is, and how far the next one. Indices are blocks or sub-blocks, or
/// columns for `floats` and `integers`.
struct LeftPlane {
  mlir::Value address;
  int64_t stride = 0; // bytes

  LeftPlane fromRow(Emitter &e, mlir::Value row) const {
    return {address ? e.atByte(address, e.mul(row, stride)) : address, stride};
  }
  mlir::Value row(Emitter &e, int64_t row) const { return e.atByte(address, row * stride); }
};

/// Which numbers a left side is made of.
enum class LeftUse {
  Exact,        ///< f32 for floats, integers for quantised weights
  Rounded,      ///< f32 that bf16 can hold
  Pairs,        ///< bf16 for bf16 weights, otherwise Exact
  Tiles,        ///< bf16 for bf16 and quantised weights, otherwise Exact
  RoundedPairs, ///< bf16, whatever the weights
  InBlocks,     ///< none: who goes by blocks of columns makes them
};

/// Whether both sides of a product with a weight are bf16.
inline bool isBf16(const kernel::WeightLayout &layout, LeftUse use) {
  bool weightIs = layout.format == kernel::WeightFormat::BF16;
  return use == LeftUse::RoundedPairs || (use == LeftUse::Pairs && weightIs) ||
         (use == LeftUse::Tiles && (weightIs || !layout.isFloat()));
}

/// What the tiles of one format of weights read.
struct Left {
  LeftPlane halves;   // bf16, columns padded to 32
  LeftPlane floats;   // f32
  LeftPlane integers; // i8
  LeftPlane scales;   // f32
  LeftPlane sums;     // f32: scale * sum of the integers of a sub-block; formats with minima
  LeftPlane zeros;    // i32: -zero * sum of the integers of a sub-block; formats whose zero is not 0

  /// The same, with `row` as row 0.
  Left fromRow(Emitter &e, mlir::Value row) const;
};

class LeftSide {
public:
  /// Reserves scratch for `capacity` rows.
  LeftSide(Matmul &m, int64_t capacity, LeftUse use = LeftUse::Exact);
  /// Makes rows first to first + count - 1 ready; they become rows 0 to count - 1.
  mlir::LogicalResult prepare(mlir::Value first, mlir::Value count);
  /// After prepare.
  Left of(const kernel::WeightLayout &layout) const;

private:
  struct SumPlane {
    int64_t subBlock, zero; // zero 0: the f32 sums of sub-blocks of 16
    mlir::Value address;
  };
  mlir::LogicalResult prepareRow(mlir::Value first, mlir::Value row);
  void quantize(mlir::Type element, mlir::Value from, mlir::Value to);
  /// Copies a row of floats or q8 to `element`.
  void convert(kernel::RowsType type, mlir::Value from, mlir::Type element, mlir::Value to);
  void addSums(const SumPlane &plane, mlir::Value row);

  Matmul &m;
  Emitter &e;
  LeftUse use;
  kernel::RowsType floatType, quantType, halfType; // of rows in scratch
  bool needsFloats = false, needsIntegers = false, needsHalves = false;
  mlir::Value floatRows, quantRows, halfRows; // in scratch; null when the buffer itself serves
  int64_t halfStride = 0;
  LeftPlane floats, quants, halves;
  llvm::SmallVector<SumPlane> sums;
};

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULLEFT_H
