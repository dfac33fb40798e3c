// SPDX-License-Identifier: Apache-2.0
// What normalisations compute, forward and backward.
#include "dialects/lm/Reference.h"

#include <cmath>

using namespace mlir;
using namespace sinter::lm;

namespace {

/// The normalised values of one group of columns, x^ = (x - mean) * factor.
struct Normalised {
  std::vector<double> values;
  double factor = 0;
};

} // namespace

/// Normalises `size` values; `centred` takes the mean off first (layer norm).
static Normalised normalise(const double *x, int64_t size, double epsilon, bool centred) {
  double mean = 0, squares = 0;
  for (int64_t i = 0; centred && i < size; ++i)
    mean += x[i] / size;
  for (int64_t i = 0; i < size; ++i)
    squares += (x[i] - mean) * (x[i] - mean) / size;
  Normalised result{std::vector<double>(size), 1 / std::sqrt(squares + epsilon)};
  for (int64_t i = 0; i < size; ++i)
    result.values[i] = (x[i] - mean) * result.factor;
  return result;
}

/// Calls `apply` for each group of each row with its first element in the tensor and its normalised values.
template <typename Apply>
static void forEachGroup(const Tensor &input, std::optional<uint64_t> group, double epsilon, bool centred,
                         Apply apply) {
  int64_t columns = input.rowSize(), size = group ? static_cast<int64_t>(*group) : columns;
  for (int64_t first = 0; first < static_cast<int64_t>(input.values.size()); first += size)
    apply(first, normalise(input.values.data() + first, size, epsilon, centred));
}

LogicalResult RmsNormOp::evaluate(Evaluation &evaluation) {
  const Tensor &input = evaluation.tensor(getInput()), *weight = evaluation.optional(getWeight());
  double offset = getOffset().convertToDouble();
  Tensor result = evaluation.zeros(getResult(), input.rows());
  forEachGroup(input, getGroup(), getEpsilon().convertToDouble(), false, [&](int64_t first, Normalised x) {
    for (size_t i = 0; i < x.values.size(); ++i)
      result.values[first + i] = x.values[i] * (weight ? weight->values[i] + offset : 1);
  });
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult LayerNormOp::evaluate(Evaluation &evaluation) {
  const Tensor &input = evaluation.tensor(getInput());
  const Tensor *weight = evaluation.optional(getWeight()), *bias = evaluation.optional(getBias());
  Tensor result = evaluation.zeros(getResult(), input.rows());
  forEachGroup(input, getGroup(), getEpsilon().convertToDouble(), true, [&](int64_t first, Normalised x) {
    for (size_t i = 0; i < x.values.size(); ++i) {
      int64_t column = (first + i) % input.rowSize();
      result.values[first + i] = x.values[i] * (weight ? weight->values[column % weight->rows()] : 1) +
                                 (bias ? bias->values[column % bias->rows()] : 0);
    }
  });
  evaluation.set(getResult(), std::move(result));
  return success();
}

/// Gradient of a norm by its input; `offset` is added to the weight.
template <typename NormBackwardOp>
static Tensor backwardInput(NormBackwardOp op, Evaluation &evaluation, bool centred, double offset) {
  const Tensor &gradient = evaluation.tensor(op.getGradient()), &input = evaluation.tensor(op.getInput());
  const Tensor *weight = evaluation.optional(op.getWeight());
  Tensor result = evaluation.zeros(op.getResult(), input.rows());
  forEachGroup(
      input, op.getGroup(), op.getEpsilon().convertToDouble(), centred, [&](int64_t first, Normalised x) {
        int64_t size = x.values.size();
        std::vector<double> g(size);
        double mean = 0, meanProduct = 0;
        for (int64_t i = 0; i < size; ++i) {
          int64_t column = (first + i) % input.rowSize();
          g[i] = gradient.values[first + i] * (weight ? weight->values[column % weight->rows()] + offset : 1);
          mean += g[i] / size;
          meanProduct += g[i] * x.values[i] / size;
        }
        for (int64_t i = 0; i < size; ++i)
          result.values[first + i] = x.factor * (g[i] - (centred ? mean : 0) - x.values[i] * meanProduct);
      });
  return result;
}

/// Gradient of a norm by its weight.
template <typename NormBackwardOp>
static Tensor backwardWeight(NormBackwardOp op, Evaluation &evaluation, bool centred) {
  const Tensor &gradient = evaluation.tensor(op.getGradient()), &input = evaluation.tensor(op.getInput());
  Tensor result = evaluation.zeros(op.getResult(), 0);
  forEachGroup(input, op.getGroup(), op.getEpsilon().convertToDouble(), centred,
               [&](int64_t first, Normalised x) {
                 for (size_t i = 0; i < x.values.size(); ++i)
                   result.values[(first + i) % input.rowSize() % result.rows()] +=
                       gradient.values[first + i] * x.values[i];
               });
  return result;
}

LogicalResult RmsNormBackwardInputOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, {getGradient(), getInput()})))
    return failure();
  evaluation.set(getResult(), backwardInput(*this, evaluation, false, getOffset().convertToDouble()));
  return success();
}

LogicalResult RmsNormBackwardWeightOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, {getGradient(), getInput()})))
    return failure();
  evaluation.set(getResult(), backwardWeight(*this, evaluation, false));
  return success();
}

LogicalResult LayerNormBackwardInputOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, {getGradient(), getInput()})))
    return failure();
  evaluation.set(getResult(), backwardInput(*this, evaluation, true, 0));
  return success();
}

LogicalResult LayerNormBackwardWeightOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, {getGradient(), getInput()})))
    return failure();
  evaluation.set(getResult(), backwardWeight(*this, evaluation, true));
  return success();
}
