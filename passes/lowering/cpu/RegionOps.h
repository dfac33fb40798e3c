// SPDX-License-Identifier: Apache-2.0
// Parts that both ways of emitting a region share (whole vectors, loops over chunks).
#ifndef SINTER_PASSES_LOWERING_CPU_REGIONOPS_H
#define SINTER_PASSES_LOWERING_CPU_REGIONOPS_H

#include "passes/lowering/Anchors.h"
#include "passes/lowering/StepOps.h"
#include "passes/lowering/cpu/RowProgram.h"

namespace sinter::cpu {

/// Address of an element of a row of activations (not q8) or of a table; `column` may be null.
mlir::Value columnAddress(Frame &frame, mlir::Value buffer, mlir::Value row, mlir::Value column);

/// kernel.lookup and kernel.combine: the vector is written to memory, f32.
mlir::LogicalResult emitSource(Frame &frame, mlir::Operation &op, mlir::Value index, mlir::Value destination);

/// kernel.dropout for n columns from `column` on.
mlir::Value emitDropout(Frame &frame, kernel::DropoutOp op, mlir::Value row, mlir::Value column, int64_t n);

/// A region on whole vectors; `yielded` as for emitRow.
mlir::LogicalResult emitWhole(Frame &frame, mlir::Region &region, mlir::ValueRange arguments,
                              const RowDestination *yielded);

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_REGIONOPS_H
