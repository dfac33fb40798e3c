// SPDX-License-Identifier: Apache-2.0
// What reads, groups and row or column moves compute.
#include "dialects/lm/Reference.h"

using namespace mlir;
using namespace sinter::lm;

/// The value of the parameter `symbol`: given, or its parts stacked along the first dimension.
static std::shared_ptr<const Datum> readParameter(ReadOp op, FlatSymbolRefAttr symbol,
                                                  const Parameters &parameters) {
  auto parameter = SymbolTable::lookupNearestSymbolFrom<ParameterOp>(op, symbol);
  assert(parameter && "expected verified symbols");
  if (!parameter.getParts()) {
    auto found = parameters.find(symbol.getValue());
    if (found == parameters.end())
      return op.emitOpError() << "expected a value for parameter " << symbol << ", found none", nullptr;
    return found->second;
  }
  Tensor stacked(cast<RankedTensorType>(parameter.getType()).getShape());
  auto end = stacked.values.begin();
  ArrayAttr parts = *parameter.getParts();
  for (Attribute part : parts) {
    auto datum = readParameter(op, cast<FlatSymbolRefAttr>(part), parameters);
    if (!datum)
      return nullptr;
    const std::vector<double> &values = std::get<Tensor>(*datum).values;
    if (values.size() > static_cast<size_t>(stacked.values.end() - end))
      return op.emitOpError() << "expected parts that fill " << parameter.getType() << ", found more",
             nullptr;
    end = std::copy(values.begin(), values.end(), end);
  }
  if (end != stacked.values.end())
    return op.emitOpError() << "expected parts that fill " << parameter.getType() << ", found less", nullptr;
  return std::make_shared<const Datum>(std::move(stacked));
}

LogicalResult ReadOp::evaluate(Evaluation &evaluation) {
  std::shared_ptr<const Datum> value = readParameter(*this, getParameterAttr(), evaluation.getParameters());
  if (!value)
    return failure();
  if (ArrayRef<int64_t>(std::get<Tensor>(*value).shape) != cast<RankedTensorType>(getType()).getShape())
    return emitOpError() << "expected a value of " << getType() << ", found another shape";
  evaluation.set(getResult(), std::move(value));
  return success();
}

LogicalResult SelectRowsOp::evaluate(Evaluation &evaluation) {
  const Tensor &input = evaluation.tensor(getInput()), &rows = evaluation.tensor(getRows());
  if (failed(evaluation.checkIds(*this, rows, 0, input.rows())))
    return failure();
  Tensor result = evaluation.zeros(getResult(), rows.rows());
  for (int64_t i = 0; i < rows.rows(); ++i)
    std::copy_n(input.row(rows.id(i)), input.rowSize(), result.row(i));
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult SliceOp::evaluate(Evaluation &evaluation) {
  const Tensor &input = evaluation.tensor(getInput());
  Tensor result = evaluation.zeros(getResult(), input.rows());
  for (int64_t i = 0; i < input.rows(); ++i)
    std::copy_n(input.row(i) + getOffset(), result.rowSize(), result.row(i));
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult ConcatOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, getInputs())))
    return failure();
  int64_t rows = evaluation.tensor(getInputs().front()).rows();
  Tensor result = evaluation.zeros(getResult(), rows);
  for (int64_t i = 0; i < rows; ++i) {
    double *out = result.row(i);
    for (Value value : getInputs()) {
      const Tensor &input = evaluation.tensor(value);
      out = std::copy_n(input.row(i), input.rowSize(), out);
    }
  }
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult SelectRowsBackwardOp::evaluate(Evaluation &evaluation) {
  const Tensor &gradient = evaluation.tensor(getGradient()), &rows = evaluation.tensor(getRows());
  int64_t count = evaluation.tensor(getInput()).rows();
  if (failed(evaluation.checkSameRows(*this, {getGradient(), getRows()})) ||
      failed(evaluation.checkIds(*this, rows, 0, count)))
    return failure();
  Tensor result = evaluation.zeros(getResult(), count);
  for (int64_t i = 0; i < rows.rows(); ++i)
    for (int64_t c = 0; c < gradient.rowSize(); ++c)
      result.row(rows.id(i))[c] += gradient.row(i)[c];
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult PadColumnsOp::evaluate(Evaluation &evaluation) {
  const Tensor &input = evaluation.tensor(getInput());
  Tensor result = evaluation.zeros(getResult(), input.rows());
  for (int64_t i = 0; i < input.rows(); ++i)
    std::copy_n(input.row(i), input.rowSize(), result.row(i) + getOffset());
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult GroupOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.run(getBody().front())))
    return failure();
  for (auto [result, value] : llvm::zip_equal(getResults(), getBody().front().getTerminator()->getOperands()))
    evaluation.set(result, evaluation.lookup(value));
  return success();
}

LogicalResult AllReduceOp::evaluate(Evaluation &evaluation) {
  ArrayRef<Evaluation> ranks = evaluation.ranks();
  if (static_cast<int64_t>(ranks.size()) != static_cast<int64_t>(getRanks()))
    return emitOpError() << "expected an evaluation of " << static_cast<int64_t>(getRanks())
                         << " ranks, found one of " << ranks.size();
  Tensor sum = ranks.front().tensor(getInput());
  for (const Evaluation &rank : ranks.drop_front())
    for (size_t i = 0; i < sum.values.size(); ++i)
      sum.values[i] += rank.tensor(getInput()).values[i];
  evaluation.set(getResult(), std::move(sum));
  return success();
}
