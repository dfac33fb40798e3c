// SPDX-License-Identifier: Apache-2.0
// Tiles of prefill matmuls for sm_90a, after --kernel-choose-schedules=gpu=true.
#ifndef SINTER_PASSES_LOWERING_GPU_WARPGROUPTILES_H
#define SINTER_PASSES_LOWERING_GPU_WARPGROUPTILES_H

#include "mlir/IR/BuiltinOps.h"

namespace sinter::gpu {

/// Matmuls with many outputs get tiles of 128 x 128 accumulators, for two consumer warpgroups; others keep 64
/// x 64, which leaves more tiles to share.
void widenTiles(mlir::ModuleOp module);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_WARPGROUPTILES_H
