// SPDX-License-Identifier: Apache-2.0
// What emitters of all targets ask of anchors.
#ifndef SINTER_PASSES_LOWERING_ANCHORS_H
#define SINTER_PASSES_LOWERING_ANCHORS_H

#include "dialects/kernel/Kernel.h"

namespace sinter {

/// Whether kernel.matmul or kernel.weight_gradient rounds its factors to bf16.
inline bool roundsFactors(mlir::Operation *op) { return op->hasAttr("kernel.bf16"); }

/// What products of queries and keys are multiplied by: they become what the cap's tanh takes, else scores.
double scoreFactor(double scale, double cap);

/// A score that stands for "not visible": far below every score, and 2^(x - maximum) of it is 0 or harmless.
inline constexpr double invisible = -1.0e30;

/// Sizes and numbers of an attention. Scores are exponents of 2:
/// log2(e) * (cap(scale * q.k) - slope * (position - t)).
struct AttentionSizes {
  explicit AttentionSizes(kernel::AttentionOp op);

  mutable kernel::AttentionOp op; // operations have no const accessors
  int64_t heads, keyHeads, group; // group: query heads that share a key head
  int64_t keySize, valueSize;     // of one head
  int64_t window;
  mlir::Type element; // of the cache

  /// Query elements times this make the products that become scores.
  double queryFactor() const;
  bool hasSlopes() const { return op.getSlopes() != nullptr; }
};

/// Of an argument that is rows of activations (not q8) or a table.
mlir::Type elementOf(mlir::Value argument);

/// A located error where the inputs of a weight are not whole blocks of its format.
mlir::LogicalResult checkInputs(kernel::MatmulOp op);

} // namespace sinter

#endif // SINTER_PASSES_LOWERING_ANCHORS_H
