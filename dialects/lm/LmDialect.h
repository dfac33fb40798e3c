// SPDX-License-Identifier: Apache-2.0
// The dialect `lm`: its classes. LmDialect.td says what it is for.
#ifndef SINTER_DIALECTS_LM_LMDIALECT_H
#define SINTER_DIALECTS_LM_LMDIALECT_H

#include "dialects/lm/Interfaces.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/lm/LmDialect.h.inc"
#include "dialects/lm/LmEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/lm/LmAttributes.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/lm/LmTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/lm/LmOps.h.inc"

namespace sinter::lm {

/// Number of columns of a tensor of rows: its last dimension.
inline int64_t width(mlir::Value rows) {
  return mlir::cast<mlir::RankedTensorType>(rows.getType()).getShape().back();
}

/// Checks that `value` is a tensor of `rank` whose last dimension is `columns`; emits "expected NAME to be
/// (..., columns), found TYPE" on `op` otherwise.
mlir::LogicalResult checkShape(mlir::Operation *op, mlir::Value value, llvm::StringRef name, int64_t rank,
                               int64_t columns);

/// Checks what dropout is given.
mlir::LogicalResult checkDropout(mlir::Operation *op, mlir::Value seed, double rate, int64_t site);

} // namespace sinter::lm

#endif // SINTER_DIALECTS_LM_LMDIALECT_H
