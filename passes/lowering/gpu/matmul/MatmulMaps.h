// SPDX-License-Identifier: Apache-2.0
// The form of kernel.matmul for many rows, both sides f16, bf16 or of 8 bits, on sm_90a, where a tile has all
// its panels: operands by tensor maps, shared by the blocks of a cluster.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULMAPS_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULMAPS_H

#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

/// Whether a matmul that fits tensor cores is of this form; others of f16 go by cp.async, of bf16 by bulk
/// copies.
bool fitsMaps(Frame &frame, kernel::MatmulOp op);
mlir::LogicalResult emitMappedMatmul(Frame &frame, kernel::MatmulOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULMAPS_H
