// SPDX-License-Identifier: Apache-2.0
// Tiles of a matmul on AMX: bf16 x bf16 with f32 sums. Quantised panels are rounded to bf16 when they are
// taken apart, and so is the left side.
#ifndef SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULAMX_H
#define SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULAMX_H

#include "passes/lowering/cpu/matmul/MatmulLeft.h"

namespace sinter::cpu {

/// Rows of a block of tiles; rows behind the last one are computed too, of whatever lies there.
inline constexpr int64_t amxRows = 32;

/// A panel of a quantised weight in the form of a bf16 panel (WeightLayout.h).
void emitAmxPanel(Emitter &e, const kernel::WeightLayout &layout, mlir::Value panel, mlir::Value to);

/// `amxRows` rows of `left` (bf16) times one or two bf16 panels, to `to`: f32 rows `rowStride` bytes apart,
/// panels beside each other; with `adds` to what is there.
void emitAmxTile(Emitter &e, int64_t paddedColumns, const LeftPlane &left, llvm::ArrayRef<mlir::Value> panels,
                 mlir::Value to, int64_t rowStride, bool adds = false);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULAMX_H
