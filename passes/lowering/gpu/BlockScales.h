// SPDX-License-Identifier: Apache-2.0
// Scales and minima of the blocks of a panel, as the lanes of a warp read them.
#ifndef SINTER_PASSES_LOWERING_GPU_BLOCKSCALES_H
#define SINTER_PASSES_LOWERING_GPU_BLOCKSCALES_H

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/gpu/Emitter.h"

namespace sinter::gpu {

/// Of 4 neighbouring rows of a panel (vectors of f32), by sub-block. A format without minima has null ones;
/// with scales of sub-blocks the minima are negative, to be added.
struct BlockScales {
  llvm::SmallVector<mlir::Value> scales, minima;
};

/// `group`: which 4 of the 16 rows (i32).
BlockScales loadBlockScales(Emitter &e, const kernel::WeightLayout &layout, mlir::Value header,
                            mlir::Value block, mlir::Value group);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_BLOCKSCALES_H
