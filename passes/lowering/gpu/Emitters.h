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
mlir::LogicalResult emitColumnSum(Frame &frame, kernel::ColumnSumOp op);
mlir::LogicalResult emitScatter(Frame &frame, kernel::ScatterOp op);
mlir::LogicalResult emitSquareSum(Frame &frame, kernel::SquareSumOp op);
mlir::LogicalResult emitCrossEntropy(Frame &frame, kernel::CrossEntropyOp op);
mlir::LogicalResult emitRouterVotes(Frame &frame, kernel::RouterVotesOp op);
mlir::LogicalResult emitBalanceGradient(Frame &frame, kernel::BalanceGradientOp op);
mlir::LogicalResult emitWeightGradient(Frame &frame, kernel::WeightGradientOp op);
mlir::LogicalResult emitSelfAttention(Frame &frame, kernel::SelfAttentionOp op);
mlir::LogicalResult emitSelfAttentionBackward(Frame &frame, kernel::SelfAttentionBackwardOp op);
mlir::LogicalResult emitMatmul(Frame &frame, kernel::MatmulOp op);
mlir::LogicalResult emitDecodeAttention(Frame &frame, kernel::AttentionOp op);
mlir::LogicalResult emitPrefillAttention(Frame &frame, kernel::AttentionOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_EMITTERS_H
