// SPDX-License-Identifier: Apache-2.0
// Matmuls whose K is split: where tiles are fewer than multiprocessors, several blocks sum parts of one tile.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_SPLITK_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_SPLITK_H

#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

/// Whether a matmul goes to tensor cores and can be split: tiles hold whole panels and groups, none has fewer
/// columns than others, each is one chunk of columns, and there are no experts.
bool canSplit(kernel::MatmulOp op);

/// Whether so many parts are the blocks of a cluster, else blocks that meet in device memory.
bool clustersFor(int64_t splits, Architecture architecture);
bool splitsInCluster(kernel::MatmulOp op, Architecture architecture);

/// Prepares what parts of K need, if it is split: barriers of the cluster, or the parameter, which is before
/// tensor maps. `rows`: of the accumulators. All threads of the block come here, before the first tile.
void beginParts(Matmul &m, int64_t rows);

/// Adds the block's part of K, of the tile that begins at `firstRow` and `begin`, to those of the other
/// parts' blocks, in the order of K. `body` is emitted where accumulators have the sums of all parts: all of
/// them in the block that is done last, or, in a cluster, in each block a share of the rows, which begins at
/// row `first`. All threads of the barrier's scope, which have met since the accumulators were stored and
/// meet again before they are overwritten.
void combineParts(
    Matmul &m, const Accumulators &accumulators, mlir::Value firstRow, mlir::Value begin, mlir::Value rows,
    llvm::function_ref<void(const Accumulators &sums, mlir::Value first, mlir::Value rows)> body);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_SPLITK_H
