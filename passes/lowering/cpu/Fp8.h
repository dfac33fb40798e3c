// SPDX-License-Identifier: Apache-2.0
// Numbers of 8 bits: f8E4M3FN (4 bits of exponent, no infinity, NaN 0x7f and 0xff) and f8E5M2 (the upper byte
// of f16). In registers they are i8: LLVM has no types for them.
#ifndef SINTER_PASSES_LOWERING_CPU_FP8_H
#define SINTER_PASSES_LOWERING_CPU_FP8_H

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/cpu/Emitter.h"

namespace sinter::cpu {

/// Whether an element is of one of the two.
bool isFp8(mlir::Type element);

/// Bytes (i8, scalar or vector) as f32; exact, NaN stays NaN.
mlir::Value widenFp8(Emitter &e, mlir::Type element, mlir::Value bytes);
/// f32 (scalar or vector) as bytes: to nearest even, beyond the largest number that number; NaN becomes 0x7f.
/// As cvt.rn.satfinite of PTX.
mlir::Value narrowFp8(Emitter &e, mlir::Type element, mlir::Value numbers);

/// Of a tile of 16 rows x 16 columns at `tile` the words of columns 4 `quad` to + 3 of the rows of a half, a
/// register: i32 x lanes. Column i of them is byte i.
mlir::Value loadFp8Quad(Emitter &e, mlir::Value tile, int64_t quad, int64_t half);
/// Column `i` of such words, f32 x lanes.
mlir::Value columnOfFp8(Emitter &e, mlir::Type element, mlir::Value words, int64_t i);

/// A panel of a weight as a panel of f32: [column][16 rows], up to paddedColumns.
void emitWidePanel(Emitter &e, const kernel::WeightLayout &layout, mlir::Type element, mlir::Value panel,
                   mlir::Value to);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_FP8_H
