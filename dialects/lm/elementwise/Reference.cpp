// SPDX-License-Identifier: Apache-2.0
// What elementwise operations compute, forward and backward.
#include "dialects/lm/Reference.h"
#include "dialects/lm/Dropout.h"

#include <cmath>
#include <numbers>

using namespace mlir;
using namespace sinter::lm;

static const double sqrtTwoOverPi = std::sqrt(2 / std::numbers::pi);

static double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
static double normalCdf(double x) { return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)); }
static double geluInner(double x) { return std::tanh(sqrtTwoOverPi * (x + 0.044715 * x * x * x)); }

/// Sets the only result to `function` of the elements of all operands (one or two).
template <typename Function>
static LogicalResult map(Operation *op, Evaluation &evaluation, Function function) {
  if (failed(evaluation.checkSameRows(op, op->getOperands())))
    return failure();
  const Tensor &first = evaluation.tensor(op->getOperand(0));
  const Tensor &last = evaluation.tensor(op->getOperands().back());
  Tensor result = first;
  for (size_t i = 0; i < result.values.size(); ++i)
    if constexpr (std::is_invocable_v<Function, double>)
      result.values[i] = function(first.values[i]);
    else
      result.values[i] = function(first.values[i], last.values[i]);
  evaluation.set(op->getResult(0), std::move(result));
  return success();
}

LogicalResult SiluOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double x) { return x * sigmoid(x); });
}

LogicalResult ReluOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double x) { return x > 0 ? x : 0; });
}

LogicalResult SigmoidOp::evaluate(Evaluation &evaluation) { return map(*this, evaluation, sigmoid); }

LogicalResult TanhOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double x) { return std::tanh(x); });
}

LogicalResult GeluOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double x) { return x * normalCdf(x); });
}

LogicalResult GeluTanhOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double x) { return x / 2 * (1 + geluInner(x)); });
}

LogicalResult QuickGeluOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double x) { return x * sigmoid(1.702 * x); });
}

LogicalResult AddOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double a, double b) { return a + b; });
}

LogicalResult MulOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double a, double b) { return a * b; });
}

LogicalResult ScaleOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [factor = getFactor().convertToDouble()](double x) { return x * factor; });
}

LogicalResult SoftcapOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation,
             [cap = getCap().convertToDouble()](double x) { return cap * std::tanh(x / cap); });
}

LogicalResult SiluBackwardOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double g, double x) {
    double s = sigmoid(x);
    return g * s * (1 + x * (1 - s));
  });
}

LogicalResult ReluBackwardOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double g, double x) { return x > 0 ? g : 0; });
}

LogicalResult SigmoidBackwardOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double g, double x) {
    double s = sigmoid(x);
    return g * s * (1 - s);
  });
}

LogicalResult TanhBackwardOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double g, double x) {
    double t = std::tanh(x);
    return g * (1 - t * t);
  });
}

LogicalResult GeluBackwardOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double g, double x) {
    return g * (normalCdf(x) + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi));
  });
}

LogicalResult GeluTanhBackwardOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double g, double x) {
    double t = geluInner(x);
    return g * ((1 + t) / 2 + x / 2 * (1 - t * t) * sqrtTwoOverPi * (1 + 3 * 0.044715 * x * x));
  });
}

LogicalResult QuickGeluBackwardOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [](double g, double x) {
    double s = sigmoid(1.702 * x);
    return g * s * (1 + 1.702 * x * (1 - s));
  });
}

LogicalResult SoftcapBackwardOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [cap = getCap().convertToDouble()](double g, double x) {
    double t = std::tanh(x / cap);
    return g * (1 - t * t);
  });
}

LogicalResult ClampOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [limit = getLimit().convertToDouble()](double x) {
    return std::max(-limit, std::min(limit, x));
  });
}

LogicalResult ClampBackwardOp::evaluate(Evaluation &evaluation) {
  return map(*this, evaluation, [limit = getLimit().convertToDouble()](double g, double x) {
    return std::abs(x) <= limit ? g : 0;
  });
}

LogicalResult DropoutOp::evaluate(Evaluation &evaluation) {
  Tensor result = evaluation.tensor(getInput());
  const uint64_t seed = evaluation.tensor(getSeed()).wideId();
  for (int64_t row = 0; row < result.rows(); ++row)
    for (int64_t c = 0; c < result.rowSize(); ++c)
      result.row(row)[c] *= dropoutFactor(seed, getSite(), row, c, getRate().convertToDouble());
  evaluation.set(getResult(), std::move(result));
  return success();
}
