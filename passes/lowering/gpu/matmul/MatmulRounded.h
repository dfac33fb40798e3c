// SPDX-License-Identifier: Apache-2.0
// kernel.matmul of f32 whose factors are rounded to bf16.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULROUNDED_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULROUNDED_H

#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

/// Of those of fitsFloatTiles.
bool fitsRoundedTiles(Frame &frame, kernel::MatmulOp op);
mlir::LogicalResult emitRoundedMatmul(Frame &frame, kernel::MatmulOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULROUNDED_H
