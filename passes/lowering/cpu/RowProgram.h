// SPDX-License-Identifier: Apache-2.0
// Emits the regions of anchors: programs of kernel.rows, prologues and epilogues of kernel.matmul.
#ifndef SINTER_PASSES_LOWERING_CPU_ROWPROGRAM_H
#define SINTER_PASSES_LOWERING_CPU_ROWPROGRAM_H

#include "passes/lowering/cpu/Frame.h"

namespace sinter::cpu {

/// Emits a region once with the values of its arguments: vectors of f32 for accumulators, i64 for rows and
/// columns. Vectors of the region become LLVM vectors of the same length (any length: LLVM cuts them into
/// registers). For groups of up to a few hundred columns.
mlir::LogicalResult emitGroup(Frame &frame, mlir::Region &region, mlir::ValueRange arguments);

/// Where the vector that a region yields goes: one row, f32, f16, bf16 or q8.
struct RowDestination {
  mlir::Value pointer;
  kernel::RowsType type;
};

/// Emits a region of one argument (the row, i64) for a whole row of any length: a loop over chunks for each
/// reduction and for what depends on it. `yielded` receives what kernel.yield gives, if it gives something.
mlir::LogicalResult emitRow(Frame &frame, mlir::Region &region, mlir::Value row,
                            const RowDestination *yielded = nullptr);

/// Stores f32 elements from `column` (i64) on in a row that begins at `pointer`, as the type says; to q8 a
/// multiple of 32 elements from a multiple of 32 on.
void storeColumns(Emitter &e, mlir::Value vector, kernel::RowsType type, mlir::Value pointer,
                  mlir::Value column);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_ROWPROGRAM_H
