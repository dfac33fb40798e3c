// SPDX-License-Identifier: Apache-2.0
// What normalisations cost: operations an element, and one square root and one division a group of columns.
#include "dialects/lm/Cost.h"

using namespace mlir;
using namespace sinter::lm;

template <typename NormOp> static Cost normCost(NormOp op, const Step &step, int64_t flopsPerElement) {
  int64_t elements = elementsOf(op.getInput(), step);
  int64_t group = op.getGroup() ? static_cast<int64_t>(*op.getGroup()) : width(op.getInput());
  return streamed(op, step, flopsPerElement * elements + 2 * (elements / group));
}

// Square and sum (2), times factor (1), times weight (1).
Cost RmsNormOp::cost(const Step &step) { return normCost(*this, step, getWeight() ? 4 : 3); }

// Mean (1), difference, square and sum (3), times factor (1), times weight (1), plus bias (1).
Cost LayerNormOp::cost(const Step &step) {
  return normCost(*this, step, 5 + (getWeight() ? 1 : 0) + (getBias() ? 1 : 0));
}

// Factor (2), x^ (1), g (1), mean of their product (2), product, difference, times factor (3).
Cost RmsNormBackwardInputOp::cost(const Step &step) { return normCost(*this, step, getWeight() ? 9 : 8); }
// Factor (2), x^ (1), product and sum (2).
Cost RmsNormBackwardWeightOp::cost(const Step &step) { return normCost(*this, step, 5); }
// As for rms_norm, and the mean and difference of x (2) and of g (2).
Cost LayerNormBackwardInputOp::cost(const Step &step) { return normCost(*this, step, getWeight() ? 13 : 12); }
Cost LayerNormBackwardWeightOp::cost(const Step &step) { return normCost(*this, step, 7); }
