// SPDX-License-Identifier: Apache-2.0
// What losses compute, forward and backward.
#include "dialects/lm/Reference.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace sinter::lm;

/// The log of the sum of exp(x) over a row.
static double logSumExp(const double *x, int64_t size) {
  double greatest = *std::max_element(x, x + size), sum = 0;
  for (int64_t i = 0; i < size; ++i)
    sum += std::exp(x[i] - greatest);
  return greatest + std::log(sum);
}

/// Checks the targets, which may be negative, and counts those that are not.
static FailureOr<int64_t> countTargets(Operation *op, const Tensor &logits, const Tensor &targets) {
  int64_t count = 0;
  for (int64_t i = 0; i < targets.rows(); ++i) {
    if (targets.id(i) >= logits.rowSize())
      return op->emitOpError() << "expected targets below " << logits.rowSize() << ", found " << targets.id(i)
                               << " at " << i;
    count += targets.id(i) >= 0;
  }
  return count;
}

LogicalResult CrossEntropyOp::evaluate(Evaluation &evaluation) {
  const Tensor &logits = evaluation.tensor(getLogits()), &targets = evaluation.tensor(getTargets());
  if (failed(evaluation.checkSameRows(*this, getOperands())))
    return failure();
  FailureOr<int64_t> count = countTargets(*this, logits, targets);
  if (failed(count))
    return failure();
  Tensor loss(ArrayRef<int64_t>{});
  for (int64_t i = 0; i < logits.rows(); ++i)
    if (targets.id(i) >= 0)
      loss.values[0] += (logSumExp(logits.row(i), logits.rowSize()) - logits.row(i)[targets.id(i)]) / *count;
  evaluation.set(getResult(), std::move(loss));
  return success();
}

LogicalResult CrossEntropyBackwardOp::evaluate(Evaluation &evaluation) {
  const Tensor &logits = evaluation.tensor(getLogits()), &targets = evaluation.tensor(getTargets());
  if (failed(evaluation.checkSameRows(*this, {getLogits(), getTargets()})))
    return failure();
  FailureOr<int64_t> count = countTargets(*this, logits, targets);
  if (failed(count))
    return failure();
  Tensor result = evaluation.zeros(getResult(), logits.rows());
  for (int64_t i = 0; i < logits.rows(); ++i) {
    if (targets.id(i) < 0)
      continue;
    double gradient = evaluation.tensor(getGradient()).values[0] / *count;
    double logSum = logSumExp(logits.row(i), logits.rowSize());
    for (int64_t c = 0; c < logits.rowSize(); ++c)
      result.row(i)[c] = gradient * (std::exp(logits.row(i)[c] - logSum) - (c == targets.id(i)));
  }
  evaluation.set(getResult(), std::move(result));
  return success();
}
