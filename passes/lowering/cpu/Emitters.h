// SPDX-License-Identifier: Apache-2.0
// One emitter an anchor: a pure function of the anchor (with its schedule) and the target.
#ifndef SINTER_PASSES_LOWERING_CPU_EMITTERS_H
#define SINTER_PASSES_LOWERING_CPU_EMITTERS_H

#include "passes/lowering/cpu/Frame.h"

namespace sinter::cpu {

/// Whether a kernel's code for an instruction set may differ from that for the next lower one. AVX512-BF16
/// changes what converts to bf16 or multiplies it, AMX the prefill form of matmuls.
bool hasOwnCode(kernel::FuncOp kernel, Isa isa);

mlir::LogicalResult emitRows(Frame &frame, kernel::RowsOp op);
mlir::LogicalResult emitRoute(Frame &frame, kernel::RouteOp op);
mlir::LogicalResult emitDispatch(Frame &frame, kernel::DispatchOp op);
mlir::LogicalResult emitMatmul(Frame &frame, kernel::MatmulOp op);
mlir::LogicalResult emitDecodeAttention(Frame &frame, kernel::AttentionOp op);
mlir::LogicalResult emitPrefillAttention(Frame &frame, kernel::AttentionOp op);
mlir::LogicalResult emitWeightGradient(Frame &frame, kernel::WeightGradientOp op);
mlir::LogicalResult emitColumnSum(Frame &frame, kernel::ColumnSumOp op);
mlir::LogicalResult emitScatter(Frame &frame, kernel::ScatterOp op);
mlir::LogicalResult emitSquareSum(Frame &frame, kernel::SquareSumOp op);
mlir::LogicalResult emitCrossEntropy(Frame &frame, kernel::CrossEntropyOp op);
mlir::LogicalResult emitRouterVotes(Frame &frame, kernel::RouterVotesOp op);
mlir::LogicalResult emitBalanceGradient(Frame &frame, kernel::BalanceGradientOp op);
mlir::LogicalResult emitSelfAttention(Frame &frame, kernel::SelfAttentionOp op);
mlir::LogicalResult emitSelfAttentionBackward(Frame &frame, kernel::SelfAttentionBackwardOp op);

/// Writes what kernel.combine gives for `row` to `destination` (f32).
void emitCombine(Frame &frame, kernel::CombineOp op, mlir::Value row, mlir::Value destination);
/// Writes row `index` of a packed weight to `destination` (f32).
mlir::LogicalResult emitLookup(Frame &frame, kernel::LookupOp op, mlir::Value index, mlir::Value destination);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_EMITTERS_H
