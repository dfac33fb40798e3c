// SPDX-License-Identifier: Apache-2.0
// Products of pairs of bf16 with f32 sums (AVX512-BF16's vdpbf16ps), and what brings numbers into pairs.
#ifndef SINTER_PASSES_LOWERING_CPU_MATMUL_BF16PRODUCT_H
#define SINTER_PASSES_LOWERING_CPU_MATMUL_BF16PRODUCT_H

#include "passes/lowering/cpu/matmul/MatmulTile.h"

namespace sinter::cpu {

/// Columns that a panel or a row of bf16 is filled up to, with zeros: those of a tile of AMX.
inline constexpr int64_t bf16Columns = 32;

/// Two vectors of bf16, or of f32 rounded to it, in words: `low` in the low halves, `high` (null: zeros) in
/// the high ones.
mlir::Value emitPairs(Emitter &e, mlir::Value low, mlir::Value high);

/// sum + low * low + high * high of each word; `sum` is f32, the factors are words.
/// Subnormal numbers count as zero.
mlir::Value emitPairProduct(Emitter &e, mlir::Value sum, mlir::Value left, mlir::Value right);

/// A panel with so many columns in the form of a bf16 panel (WeightLayout.h).
int64_t bf16PanelBytes(int64_t columns);
/// Makes it of a panel of f32, [columns][16].
void emitBf16Panel(Emitter &e, int64_t columns, mlir::Value panel, mlir::Value to);

/// Rows 0 to rows - 1 of `left` (bf16) times `columns` columns of bf16 panels, where an odd one is followed
/// by zeros.
TileResult emitBf16Tile(Emitter &e, int64_t columns, const LeftPlane &left, int64_t rows,
                        llvm::ArrayRef<mlir::Value> panels);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_MATMUL_BF16PRODUCT_H
