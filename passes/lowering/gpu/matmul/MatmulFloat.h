// SPDX-License-Identifier: Apache-2.0
// kernel.matmul of f32, whose factors tensor cores would round.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULFLOAT_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULFLOAT_H

#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

/// Whether both sides are f32 in memory, the left one perhaps rounded already, for many rows or with
/// transposed weights.
bool fitsFloatTiles(kernel::MatmulOp op);
mlir::LogicalResult emitFloatMatmul(Frame &frame, kernel::MatmulOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULFLOAT_H
