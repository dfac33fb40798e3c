// SPDX-License-Identifier: Apache-2.0
// Integer dot products of packed blocks by a loop, for targets whose registers do not hold a whole block.
#ifndef SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULTURNS_H
#define SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULTURNS_H

#include "passes/lowering/cpu/matmul/MatmulDot.h"
#include "passes/lowering/cpu/matmul/MatmulLeft.h"

namespace sinter::cpu {

/// Whether the blocks of a format are taken apart by a loop rather than by unrolled code, which spills:
/// formats with a scale a block. With two it is slower.
bool takesTurns(const kernel::BlockTraits &block, Target target);

/// Products of the blocks at `blocks` (one a panel) with a block of `rows` rows of activations, the first at
/// `integers`, `stride` bytes apart, added to `totals` (i32; null: zero): number row * columns + column,
/// where a column is a half of a panel.
void emitTurns(Emitter &e, const kernel::WeightLayout &layout, llvm::ArrayRef<mlir::Value> blocks,
               mlir::Value integers, int64_t stride, int64_t rows, llvm::MutableArrayRef<mlir::Value> totals);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_MATMUL_MATMULTURNS_H
