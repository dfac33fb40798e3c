// SPDX-License-Identifier: Apache-2.0
// Growing lm.group: the two moves that all fusion passes are made of.
#ifndef SINTER_PASSES_FUSION_GROUPING_H
#define SINTER_PASSES_FUSION_GROUPING_H

#include "dialects/lm/LmDialect.h"

#include "mlir/IR/PatternMatch.h"

namespace sinter {

/// Whether an operation is a function of each number that feed-forward layers have between their products.
bool isActivation(mlir::Operation *op);

/// Puts `op` alone into a new group of `kind`, in its place. A group already: changes nothing.
lm::GroupOp wrapInGroup(mlir::RewriterBase &rewriter, mlir::Operation *op, lm::GroupKind kind);

/// Whether `op`, in the block of `group`, can move into it: everything it uses would still come before the
/// group, and everything that uses the group or `op` after it.
bool canAbsorb(lm::GroupOp group, mlir::Operation *op);

/// Moves `op` (or the body of another group) into `group`; canAbsorb must hold. A producer goes to the front
/// of the body, everything else to its end. The group then yields what is used outside, and only that; it
/// stands where the later of both stood. Gives the new group.
lm::GroupOp absorb(mlir::RewriterBase &rewriter, lm::GroupOp group, mlir::Operation *op);

/// Whether `op` can follow the matmul of `group` in its epilogue, which computes the columns between two cuts
/// by slices, and of them one head after another: what it reads of the group must be of the same columns, and
/// its heads as wide as those there. Slices never (absorbSlices), nor what reads attention's partial results.
bool fitsEpilogue(lm::GroupOp group, mlir::Operation *op);

/// The group whose result `value` is, or null.
lm::GroupOp definingGroup(mlir::Value value);

/// The operation in a group (or bare) that computes `value`, and null for arguments.
mlir::Operation *definingOpThroughGroups(mlir::Value value);

/// Whether the operation computes each row of its results from the same row of its operands, weights aside,
/// with elementwise arithmetic and reductions along the row (a row program).
bool isRowwise(mlir::Operation *op);

/// Of those what computes each number from numbers of the same column.
bool isElementwise(mlir::Operation *op);

/// Of those what is elementwise or a norm of the whole row.
bool isOnWholeRows(mlir::Operation *op);

/// The columns that an operation works on at once, those of a head: of rope, of norms of groups, of append;
/// of others 0.
int64_t headWidth(mlir::Operation *op);

} // namespace sinter

#endif // SINTER_PASSES_FUSION_GROUPING_H
