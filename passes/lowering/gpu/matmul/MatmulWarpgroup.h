// SPDX-License-Identifier: Apache-2.0
// The form of kernel.matmul for many rows by wgmma, on sm_90a.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULWARPGROUP_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULWARPGROUP_H

#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

/// Whether a matmul that fits tensor cores has tiles that fit the registers and shared memory of this form.
bool fitsWarpgroups(Frame &frame, kernel::MatmulOp op);
mlir::LogicalResult emitWarpgroupMatmul(Frame &frame, kernel::MatmulOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULWARPGROUP_H
