// SPDX-License-Identifier: Apache-2.0
// Matmuls whose K is split: where tiles are fewer than multiprocessors, several blocks sum parts of one tile.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_SPLITK_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_SPLITK_H

#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

/// Whether a matmul goes to tensor cores and can be split: tiles hold whole panels and groups, none has fewer
/// columns than others, each is one chunk of columns, and there are no experts.
bool canSplit(kernel::MatmulOp op);

/// Stores the accumulators of the block's part of K, of the tile that begins at `firstRow` and `begin`, where
/// the blocks of the other parts do. Yields (i1) whether this block was the last of them; its accumulators
/// then are the sums of all parts, added in the order of K whoever is last. All threads of the barrier's
/// scope.
mlir::Value combineSplits(Matmul &m, const Accumulators &accumulators, mlir::Value firstRow,
                          mlir::Value begin);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_SPLITK_H
