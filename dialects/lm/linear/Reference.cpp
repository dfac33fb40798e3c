// SPDX-License-Identifier: Apache-2.0
// What embedding lookups and matrix products compute.
#include "dialects/lm/Reference.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult EmbeddingOp::evaluate(Evaluation &evaluation) {
  const Tensor &ids = evaluation.tensor(getIds()), &table = evaluation.tensor(getTable());
  int64_t offset = getOffset();
  if (failed(evaluation.checkIds(*this, ids, offset, table.rows())))
    return failure();
  Tensor result = evaluation.zeros(getResult(), ids.rows());
  for (int64_t i = 0; i < ids.rows(); ++i)
    std::copy_n(table.row(ids.id(i) + offset), table.rowSize(), result.row(i));
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult LinearOp::evaluate(Evaluation &evaluation) {
  const Tensor &input = evaluation.tensor(getInput()), &weight = evaluation.tensor(getWeight());
  const Tensor *bias = evaluation.optional(getBias());
  Tensor result = evaluation.zeros(getResult(), input.rows());
  for (int64_t i = 0; i < input.rows(); ++i)
    for (int64_t o = 0; o < weight.rows(); ++o) {
      double sum = bias ? bias->values[o] : 0;
      for (int64_t c = 0; c < input.rowSize(); ++c)
        sum += input.row(i)[c] * weight.row(o)[c];
      result.row(i)[o] = sum;
    }
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult EmbeddingBackwardOp::evaluate(Evaluation &evaluation) {
  const Tensor &gradient = evaluation.tensor(getGradient()), &ids = evaluation.tensor(getIds());
  Tensor result = evaluation.zeros(getResult(), 0);
  int64_t offset = getOffset();
  if (failed(evaluation.checkSameRows(*this, {getGradient(), getIds()})) ||
      failed(evaluation.checkIds(*this, ids, offset, result.rows())))
    return failure();
  for (int64_t i = 0; i < ids.rows(); ++i)
    for (int64_t c = 0; c < gradient.rowSize(); ++c)
      result.row(ids.id(i) + offset)[c] += gradient.row(i)[c];
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult LinearBackwardInputOp::evaluate(Evaluation &evaluation) {
  const Tensor &gradient = evaluation.tensor(getGradient()), &weight = evaluation.tensor(getWeight());
  Tensor result = evaluation.zeros(getResult(), gradient.rows());
  for (int64_t i = 0; i < gradient.rows(); ++i)
    for (int64_t o = 0; o < weight.rows(); ++o)
      for (int64_t c = 0; c < weight.rowSize(); ++c)
        result.row(i)[c] += gradient.row(i)[o] * weight.row(o)[c];
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult LinearBackwardWeightOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, {getGradient(), getInput()})))
    return failure();
  const Tensor &gradient = evaluation.tensor(getGradient()), &input = evaluation.tensor(getInput());
  Tensor result = evaluation.zeros(getResult(), 0);
  for (int64_t i = 0; i < gradient.rows(); ++i)
    for (int64_t o = 0; o < result.rows(); ++o)
      for (int64_t c = 0; c < input.rowSize(); ++c)
        result.row(o)[c] += gradient.row(i)[o] * input.row(i)[c];
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult ColumnSumOp::evaluate(Evaluation &evaluation) {
  const Tensor &input = evaluation.tensor(getInput());
  Tensor result = evaluation.zeros(getResult(), 0);
  for (int64_t i = 0; i < input.rows(); ++i)
    for (int64_t c = 0; c < input.rowSize(); ++c)
      result.values[c % result.rows()] += input.row(i)[c];
  evaluation.set(getResult(), std::move(result));
  return success();
}
