// SPDX-License-Identifier: Apache-2.0
// One emitter an anchor: a pure function of the anchor (with its schedule) and the architecture. Each says
// how many threads a block has (Frame::threads) before it emits anything.
#ifndef SINTER_PASSES_LOWERING_GPU_EMITTERS_H
#define SINTER_PASSES_LOWERING_GPU_EMITTERS_H

#include "passes/lowering/gpu/Frame.h"

namespace sinter::gpu {

mlir::LogicalResult emitRows(Frame &frame, kernel::RowsOp op);
mlir::LogicalResult emitRoute(Frame &frame, kernel::RouteOp op);
mlir::LogicalResult emitDispatch(Frame &frame, kernel::DispatchOp op);
mlir::LogicalResult emitPeaks(Frame &frame, kernel::PeaksOp op);
mlir::LogicalResult emitSample(Frame &frame, kernel::SampleOp op);
mlir::LogicalResult emitMatmul(Frame &frame, kernel::MatmulOp op);
mlir::LogicalResult emitDecodeAttention(Frame &frame, kernel::AttentionOp op);
mlir::LogicalResult emitPrefillAttention(Frame &frame, kernel::AttentionOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_EMITTERS_H
