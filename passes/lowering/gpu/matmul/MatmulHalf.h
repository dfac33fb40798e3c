// SPDX-License-Identifier: Apache-2.0
// The form of kernel.matmul for many rows whose left side has the weights' own type of 16 bits.
#ifndef SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULHALF_H
#define SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULHALF_H

#include "passes/lowering/gpu/matmul/Matmul.h"

namespace sinter::gpu {

/// Whether a matmul that fits tensor cores has such a left side, and tiles that fit registers and shared
/// memory. On sm_90a weights must be f16: words of bf16 hold two columns, which is no operand of wgmma.
bool fitsHalves(Frame &frame, kernel::MatmulOp op);
mlir::LogicalResult emitHalfMatmul(Frame &frame, kernel::MatmulOp op);

//--- what MatmulMaps has alike

namespace halves {
/// Columns of a tile at most; K in chunks of so many columns, which are steps of 16.
inline constexpr int64_t widestColumns = 256, chunkColumns = 64, chunkSteps = chunkColumns / 16;
/// Bytes of a chunk: of a row of the left side, of a panel's line and of a panel.
inline constexpr int64_t leftLine = 2 * chunkColumns, panelLine = 2 * kernel::panelRows,
                         panelChunk = chunkColumns * panelLine;
/// Sums in registers a thread, where two blocks share a multiprocessor, and where one has it.
inline constexpr int64_t fewSums = 64, mostSums = 128;
} // namespace halves

/// Sums of wgmma, 64 rows a warpgroup: (weight, 8 columns, 4).
void storeGroupSums(Frame &frame, const Accumulators &accumulators, mlir::ValueRange sums);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_MATMUL_MATMULHALF_H
