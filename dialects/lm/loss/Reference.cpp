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

/// The softmax of a row.
static std::vector<double> softmax(const double *x, int64_t size) {
  double logSum = logSumExp(x, size);
  std::vector<double> p(x, x + size);
  for (double &value : p)
    value = std::exp(value - logSum);
  return p;
}

LogicalResult RouterVotesOp::evaluate(Evaluation &evaluation) {
  int64_t experts = width(getLogits()[0]);
  Tensor votes(ArrayRef<int64_t>{2 * experts});
  for (auto [logitsValue, chosenValue] : llvm::zip_equal(getLogits(), getChosen())) {
    const Tensor &logits = evaluation.tensor(logitsValue), &chosen = evaluation.tensor(chosenValue);
    if (failed(evaluation.checkSameRows(*this, {logitsValue, chosenValue})) ||
        failed(evaluation.checkIds(*this, chosen, 0, experts)))
      return failure();
    for (int64_t row = 0; row < logits.rows(); ++row) {
      std::vector<double> p = softmax(logits.row(row), experts);
      for (int64_t e = 0; e < experts; ++e)
        votes.values[experts + e] += p[e];
      for (int64_t j = 0; j < chosen.rowSize(); ++j)
        votes.values[static_cast<int64_t>(chosen.row(row)[j])] += 1;
    }
  }
  evaluation.set(getResult(), std::move(votes));
  return success();
}

LogicalResult BalanceLossOp::evaluate(Evaluation &evaluation) {
  const Tensor &votes = evaluation.tensor(getVotes());
  int64_t experts = width(getLogits()[0]);
  double rows = 0, sum = 0;
  for (Value logits : getLogits())
    rows += evaluation.tensor(logits).rows();
  for (int64_t e = 0; e < experts; ++e)
    sum += votes.values[e] * votes.values[experts + e];
  Tensor loss = evaluation.tensor(getLoss());
  loss.values[0] += getCoefficient().convertToDouble() * experts * sum / (rows * rows);
  evaluation.set(getResult(), std::move(loss));
  return success();
}

LogicalResult BalanceLossBackwardOp::evaluate(Evaluation &evaluation) {
  const Tensor &logits = evaluation.tensor(getLogits()), &votes = evaluation.tensor(getVotes());
  int64_t experts = logits.rowSize();
  double rows = static_cast<double>(logits.rows()) * getRouters();
  double factor = evaluation.tensor(getGradient()).values[0] * getCoefficient().convertToDouble() * experts /
                  (rows * rows);
  Tensor result = evaluation.zeros(getResult(), logits.rows());
  for (int64_t row = 0; row < logits.rows(); ++row) {
    std::vector<double> p = softmax(logits.row(row), experts);
    double mean = 0;
    for (int64_t e = 0; e < experts; ++e)
      mean += p[e] * votes.values[e];
    for (int64_t e = 0; e < experts; ++e)
      result.row(row)[e] = factor * p[e] * (votes.values[e] - mean);
  }
  evaluation.set(getResult(), std::move(result));
  return success();
}
