// SPDX-License-Identifier: Apache-2.0
// Packed weights of 8 bits (passes/lowering/Fp8.h) as f32.
#ifndef SINTER_PASSES_LOWERING_CPU_FP8_H
#define SINTER_PASSES_LOWERING_CPU_FP8_H

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/Fp8.h"
#include "passes/lowering/cpu/Emitter.h"

namespace sinter::cpu {

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
