// SPDX-License-Identifier: Apache-2.0
// What routing and expert layers compute, forward and backward.
#include "dialects/lm/Reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace sinter::lm;

static std::vector<double> softmax(const double *x, int64_t size) {
  std::vector<double> p(x, x + size);
  double greatest = *std::max_element(p.begin(), p.end()), sum = 0;
  for (double &value : p)
    sum += value = std::exp(value - greatest);
  for (double &value : p)
    value /= sum;
  return p;
}

LogicalResult RouteOp::evaluate(Evaluation &evaluation) {
  const Tensor &logits = evaluation.tensor(getLogits());
  int64_t experts = logits.rowSize(), k = getK();
  Tensor weights = evaluation.zeros(getWeights(), logits.rows()),
         chosen = evaluation.zeros(getChosen(), logits.rows());
  for (int64_t row = 0; row < logits.rows(); ++row) {
    std::vector<double> p = softmax(logits.row(row), experts);
    std::vector<int64_t> order(experts);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return p[a] > p[b]; });
    double sum = 0;
    for (int64_t j = 0; j < k; ++j)
      sum += p[order[j]];
    for (int64_t j = 0; j < k; ++j) {
      weights.row(row)[j] = p[order[j]] / (getNormalise() ? sum : 1);
      chosen.row(row)[j] = order[j];
    }
  }
  evaluation.set(getWeights(), std::move(weights));
  evaluation.set(getChosen(), std::move(chosen));
  return success();
}

/// Calls `apply(row, j, expert)` for each chosen expert of each row.
template <typename Apply> static void forEachChosen(const Tensor &chosen, Apply apply) {
  for (int64_t row = 0; row < chosen.rows(); ++row)
    for (int64_t j = 0; j < chosen.rowSize(); ++j)
      apply(row, j, static_cast<int64_t>(chosen.row(row)[j]));
}

/// The input of the j-th chosen expert of a row: (rows, in) serves all, (rows, k, in) has one for each.
template <typename T> static auto *expertInput(T &input, int64_t row, int64_t j) {
  return input.row(row) + (input.shape.size() == 3 ? j * input.shape.back() : 0);
}

LogicalResult ExpertLinearOp::evaluate(Evaluation &evaluation) {
  const Tensor &input = evaluation.tensor(getInput()), &weight = evaluation.tensor(getWeight());
  const Tensor &chosen = evaluation.tensor(getChosen());
  if (failed(evaluation.checkSameRows(*this, {getInput(), getChosen()})) ||
      failed(evaluation.checkIds(*this, chosen, 0, weight.rows())))
    return failure();
  Tensor result = evaluation.zeros(getResult(), input.rows());
  int64_t out = weight.shape[1], in = weight.shape[2];
  forEachChosen(chosen, [&](int64_t row, int64_t j, int64_t expert) {
    const double *x = expertInput(input, row, j);
    for (int64_t o = 0; o < out; ++o)
      for (int64_t c = 0; c < in; ++c)
        result.row(row)[j * out + o] += x[c] * weight.row(expert)[o * in + c];
  });
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult CombineOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, getOperands())))
    return failure();
  const Tensor &input = evaluation.tensor(getInput()), &weights = evaluation.tensor(getWeights());
  Tensor result = evaluation.zeros(getResult(), input.rows());
  for (int64_t row = 0; row < input.rows(); ++row)
    for (int64_t j = 0; j < weights.rowSize(); ++j)
      for (int64_t c = 0; c < result.rowSize(); ++c)
        result.row(row)[c] += weights.row(row)[j] * input.row(row)[j * result.rowSize() + c];
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult RouteBackwardOp::evaluate(Evaluation &evaluation) {
  const Tensor &gradient = evaluation.tensor(getGradient()), &logits = evaluation.tensor(getLogits());
  const Tensor &chosen = evaluation.tensor(getChosen());
  if (failed(evaluation.checkSameRows(*this, getOperands())) ||
      failed(evaluation.checkIds(*this, chosen, 0, logits.rowSize())))
    return failure();
  Tensor result = evaluation.zeros(getResult(), logits.rows());
  int64_t experts = logits.rowSize(), k = chosen.rowSize();
  for (int64_t row = 0; row < logits.rows(); ++row) {
    std::vector<double> p = softmax(logits.row(row), experts), byProbability(experts);
    auto expert = [&](int64_t j) { return static_cast<int64_t>(chosen.row(row)[j]); };
    double sum = 1, share = 0; // of the chosen probabilities; of the gradient that normalising takes back
    if (getNormalise()) {
      sum = 0;
      for (int64_t j = 0; j < k; ++j)
        sum += p[expert(j)];
      for (int64_t j = 0; j < k; ++j)
        share += gradient.row(row)[j] * p[expert(j)] / sum;
    }
    double mean = 0;
    for (int64_t j = 0; j < k; ++j) {
      byProbability[expert(j)] = (gradient.row(row)[j] - share) / sum;
      mean += p[expert(j)] * byProbability[expert(j)];
    }
    for (int64_t e = 0; e < experts; ++e)
      result.row(row)[e] = p[e] * (byProbability[e] - mean);
  }
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult ExpertLinearBackwardInputOp::evaluate(Evaluation &evaluation) {
  const Tensor &gradient = evaluation.tensor(getGradient()), &weight = evaluation.tensor(getWeight());
  const Tensor &chosen = evaluation.tensor(getChosen());
  if (failed(evaluation.checkSameRows(*this, {getGradient(), getChosen()})) ||
      failed(evaluation.checkIds(*this, chosen, 0, weight.rows())))
    return failure();
  Tensor result = evaluation.zeros(getResult(), gradient.rows());
  int64_t out = weight.shape[1], in = weight.shape[2];
  forEachChosen(chosen, [&](int64_t row, int64_t j, int64_t expert) {
    double *x = expertInput(result, row, j);
    for (int64_t o = 0; o < out; ++o)
      for (int64_t c = 0; c < in; ++c)
        x[c] += gradient.row(row)[j * out + o] * weight.row(expert)[o * in + c];
  });
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult ExpertLinearBackwardWeightOp::evaluate(Evaluation &evaluation) {
  const Tensor &gradient = evaluation.tensor(getGradient()), &input = evaluation.tensor(getInput());
  const Tensor &chosen = evaluation.tensor(getChosen());
  Tensor result = evaluation.zeros(getResult(), 0);
  if (failed(evaluation.checkSameRows(*this, getOperands())) ||
      failed(evaluation.checkIds(*this, chosen, 0, result.rows())))
    return failure();
  int64_t out = result.shape[1], in = result.shape[2];
  forEachChosen(chosen, [&](int64_t row, int64_t j, int64_t expert) {
    const double *x = expertInput(input, row, j);
    for (int64_t o = 0; o < out; ++o)
      for (int64_t c = 0; c < in; ++c)
        result.row(expert)[o * in + c] += gradient.row(row)[j * out + o] * x[c];
  });
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult CombineBackwardInputOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, getOperands())))
    return failure();
  const Tensor &gradient = evaluation.tensor(getGradient()), &weights = evaluation.tensor(getWeights());
  Tensor result = evaluation.zeros(getResult(), gradient.rows());
  for (int64_t row = 0; row < gradient.rows(); ++row)
    for (int64_t j = 0; j < weights.rowSize(); ++j)
      for (int64_t c = 0; c < gradient.rowSize(); ++c)
        result.row(row)[j * gradient.rowSize() + c] = weights.row(row)[j] * gradient.row(row)[c];
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult CombineBackwardWeightsOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, getOperands())))
    return failure();
  const Tensor &gradient = evaluation.tensor(getGradient()), &input = evaluation.tensor(getInput());
  Tensor result = evaluation.zeros(getResult(), gradient.rows());
  for (int64_t row = 0; row < gradient.rows(); ++row)
    for (int64_t j = 0; j < result.rowSize(); ++j)
      for (int64_t c = 0; c < gradient.rowSize(); ++c)
        result.row(row)[j] += input.row(row)[j * gradient.rowSize() + c] * gradient.row(row)[c];
  evaluation.set(getResult(), std::move(result));
  return success();
}
