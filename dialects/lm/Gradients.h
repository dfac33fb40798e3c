// SPDX-License-Identifier: Apache-2.0
// Differentiation: each operation has a short rule (Gradients.cpp of its family); the walk that applies them
// from the loss back is passes/training/Differentiate.cpp.
#ifndef SINTER_DIALECTS_LM_GRADIENTS_H
#define SINTER_DIALECTS_LM_GRADIENTS_H

#include "dialects/lm/LmDialect.h"

#include "llvm/ADT/DenseSet.h"

namespace sinter::lm {

/// The gradients of one loss known so far. A rule asks `of` its results and `add`s to its operands.
class Gradients {
public:
  /// `active` are the values that depend on something trained; the others need no gradient.
  Gradients(mlir::OpBuilder builder, llvm::DenseSet<mlir::Value> active)
      : builder(builder), active(std::move(active)) {}

  /// Whether the loss depends on `value` through operations seen so far.
  bool has(mlir::Value value) const { return gradients.contains(value); }
  /// The gradient of the loss by `value`; `has` must hold.
  mlir::Value of(mlir::Value value) const;
  /// Whether the gradient by `operand` is wanted: else it need not be built.
  bool wants(mlir::Value operand) const { return active.contains(operand); }
  /// Adds `gradient` to the gradient by `operand`, if it is wanted. It has the operand's shape, in f32.
  void add(mlir::Value operand, mlir::Value gradient);

  /// The place where backward operations are built: behind all of the forward ones.
  mlir::OpBuilder builder;

private:
  llvm::DenseMap<mlir::Value, mlir::Value> gradients;
  llvm::DenseSet<mlir::Value> active;
};

/// Makes `attention` again with its log_sum_exp, which all attention of a training step has; uses of the old
/// result become those of the new one.
AttentionOp addLogSumExp(AttentionOp attention);

/// The type of the gradient by `value`: its shape in f32.
mlir::RankedTensorType gradientType(mlir::Value value);

} // namespace sinter::lm

#endif // SINTER_DIALECTS_LM_GRADIENTS_H
