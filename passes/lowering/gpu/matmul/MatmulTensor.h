// SPDX-License-Identifier: Apache-2.0
// The form of kernel.matmul for many rows on tensor cores.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULTENSOR_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULTENSOR_H

#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

/// Whether it has rows_per_tile, a left side in memory, and a kind of numbers that mma multiplies: q8 rows
/// with quantised weights, with weights of f16, bf16 or 8 bits rows of their type or f32 rows (rounded to it,
/// with 8 bits to f16).
bool fitsTensorCores(kernel::MatmulOp op);
mlir::LogicalResult emitTensorMatmul(Frame &frame, kernel::MatmulOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULTENSOR_H
