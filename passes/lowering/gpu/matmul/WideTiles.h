// SPDX-License-Identifier: Apache-2.0
// Tiles of prefill matmuls by architecture, after --kernel-choose-schedules=gpu=true.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_WIDETILES_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_WIDETILES_H

#include "passes/lowering/gpu/Target.h"

#include "mlir/IR/BuiltinOps.h"

namespace sinter::gpu {

/// Matmuls with many outputs get tiles of 128 x 128 accumulators, on sm_80 where both sides have 16 bits;
/// others keep 64 x 64, which leaves more tiles to share.
void widenTiles(mlir::ModuleOp module, Architecture architecture);

/// Matmuls whose tiles are fewer than multiprocessors get kernel.split_k; `hasMemory`: also those whose parts
/// go through device memory.
void splitFewTiles(mlir::ModuleOp module, Architecture architecture, bool hasMemory);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_WIDETILES_H
