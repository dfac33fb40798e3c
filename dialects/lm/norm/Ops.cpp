// SPDX-License-Identifier: Apache-2.0
// When normalisations are valid.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

/// Checks epsilon and group, which every norm has; gives the width of one group.
static FailureOr<int64_t> checkNorm(Operation *op, Value input, const APFloat &epsilon,
                                    std::optional<uint64_t> group) {
  if (epsilon.isNegative())
    return op->emitOpError() << "expected epsilon >= 0, found " << epsilon.convertToDouble();
  int64_t columns = width(input);
  int64_t size = group ? static_cast<int64_t>(*group) : columns;
  if (size <= 0 || columns % size)
    return op->emitOpError() << "expected a group that divides the " << columns << " columns, found " << size;
  return size;
}

/// Checks a norm's attributes and that `weight`, if there, has the width of a group.
template <typename NormOp> static LogicalResult checkRmsNorm(NormOp op, Value weight) {
  FailureOr<int64_t> size = checkNorm(op, op.getInput(), op.getEpsilon(), op.getGroup());
  if (failed(size))
    return failure();
  return weight ? checkShape(op, weight, "the weight", 1, *size) : success();
}

/// The same, but that `weight` may have the width of the row too.
template <typename NormOp> static LogicalResult checkLayerNorm(NormOp op, Value weight, StringRef name) {
  FailureOr<int64_t> size = checkNorm(op, op.getInput(), op.getEpsilon(), op.getGroup());
  if (failed(size))
    return failure();
  if (!weight || width(weight) == width(op.getInput()))
    return success();
  return checkShape(op, weight, name, 1, *size);
}

LogicalResult RmsNormOp::verify() { return checkRmsNorm(*this, getWeight()); }

LogicalResult LayerNormOp::verify() {
  if (failed(checkLayerNorm(*this, getWeight(), "the weight")))
    return failure();
  return checkLayerNorm(*this, getBias(), "the bias");
}

LogicalResult RmsNormBackwardInputOp::verify() { return checkRmsNorm(*this, getWeight()); }
LogicalResult RmsNormBackwardWeightOp::verify() { return checkRmsNorm(*this, getResult()); }
LogicalResult LayerNormBackwardInputOp::verify() { return checkLayerNorm(*this, getWeight(), "the weight"); }
LogicalResult LayerNormBackwardWeightOp::verify() { return checkLayerNorm(*this, getResult(), "the result"); }
