// SPDX-License-Identifier: Apache-2.0
// Scales and minima of the blocks of a panel, as the lanes of a warp read them.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_BLOCKSCALES_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_BLOCKSCALES_H

#include "dialects/kernel/WeightLayout.h"
#include "passes/lowering/gpu/Emitter.h"

namespace sinter::gpu {

/// Of some neighbouring rows of a panel (vectors of f32), by sub-block. A format without minima has null
/// ones; with scales of sub-blocks the minima are negative, to be added.
struct BlockScales {
  llvm::SmallVector<mlir::Value> scales, minima;
};

/// `group`: which `n` (4 or 2) of the 16 rows (i32).
BlockScales loadBlockScales(Emitter &e, const kernel::WeightLayout &layout, mlir::Value header,
                            mlir::Value block, mlir::Value group, int64_t n = 4);

/// The integers of a block for tensor cores: the 4 of quad t and of quad t + 4 of rows 2g and 2g + 1, where a
/// lane is 4 g + t. Bytes as stored: without the format's zero, signed where the format is.
struct BlockQuads {
  mlir::Value bytes[2][2]; // (row 2g or 2g + 1, quad t or t + 4): i32
};
BlockQuads loadBlockQuads(Emitter &e, const kernel::WeightLayout &layout, mlir::Value block,
                          mlir::Value lane);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_BLOCKSCALES_H
