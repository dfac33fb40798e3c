// SPDX-License-Identifier: Apache-2.0
// What position encodings compute.
#include "dialects/lm/Reference.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace sinter::lm;

/// The frequencies of this step: long ones, dynamic ones or those of the operation.
static SmallVector<float> stepFrequencies(RopeAnglesOp op, int64_t last) {
  if (op.getLongFrequencies() && last >= static_cast<int64_t>(*op.getLongFrom()))
    return SmallVector<float>(*op.getLongFrequencies());
  SmallVector<float> frequencies(op.getFrequencies());
  DynamicNtkAttr dynamic = op.getDynamicAttr();
  if (!dynamic || last + 1 <= dynamic.getLength())
    return frequencies;
  double factor = dynamic.getFactor().getValueAsDouble(), dim = dynamic.getDim();
  double growth = factor * (last + 1) / dynamic.getLength() - (factor - 1);
  double base = dynamic.getBase().getValueAsDouble() * std::pow(growth, dim / (dim - 2));
  for (size_t i = 0; i < frequencies.size(); ++i)
    frequencies[i] = static_cast<float>(std::pow(base, -2.0 * i / dim));
  return frequencies;
}

LogicalResult RopeAnglesOp::evaluate(Evaluation &evaluation) {
  const Tensor &positions = evaluation.tensor(getPositions());
  int64_t last = 0;
  for (int64_t i = 0; i < positions.rows(); ++i)
    last = std::max(last, positions.id(i));
  SmallVector<float> frequencies = stepFrequencies(*this, last);
  bool isLong = getLongFrom() && last >= static_cast<int64_t>(*getLongFrom());
  double factor = (isLong && getLongFactor() ? *getLongFactor() : getFactor()).convertToDouble();

  Tensor cosines = evaluation.zeros(getCos(), positions.rows()), sines = cosines;
  for (int64_t i = 0; i < positions.rows(); ++i)
    for (size_t f = 0; f < frequencies.size(); ++f) {
      float angle = static_cast<float>(positions.id(i)) * frequencies[f];
      cosines.row(i)[f] = std::cos(static_cast<double>(angle)) * factor;
      sines.row(i)[f] = std::sin(static_cast<double>(angle)) * factor;
    }
  evaluation.set(getCos(), std::move(cosines));
  evaluation.set(getSin(), std::move(sines));
  return success();
}

LogicalResult RopeOp::evaluate(Evaluation &evaluation) {
  if (failed(evaluation.checkSameRows(*this, getOperands())))
    return failure();
  const Tensor &input = evaluation.tensor(getInput());
  const Tensor &cosines = evaluation.tensor(getCos()), &sines = evaluation.tensor(getSin());
  int64_t head = getHeadDim(), turning = cosines.rowSize();
  Tensor result = input;
  for (int64_t row = 0; row < input.rows(); ++row)
    for (int64_t first = 0; first < input.rowSize(); first += head)
      for (int64_t i = 0; i < turning; ++i) {
        int64_t a = first + (getInterleaved() ? 2 * i : i), b = getInterleaved() ? a + 1 : a + turning;
        double x = input.row(row)[a], y = input.row(row)[b], c = cosines.row(row)[i], s = sines.row(row)[i];
        result.row(row)[a] = x * c - y * s;
        result.row(row)[b] = y * c + x * s;
      }
  evaluation.set(getResult(), std::move(result));
  return success();
}

LogicalResult SinusoidsOp::evaluate(Evaluation &evaluation) {
  const Tensor &positions = evaluation.tensor(getPositions());
  Tensor result = evaluation.zeros(getResult(), positions.rows());
  int64_t half = result.rowSize() / 2, offset = getOffset();
  for (int64_t row = 0; row < positions.rows(); ++row)
    for (int64_t i = 0; i < half; ++i) {
      double angle = (positions.id(row) + offset) *
                     std::pow(getBase().convertToDouble(), -static_cast<double>(i) / (half - 1));
      result.row(row)[i] = std::sin(angle);
      result.row(row)[half + i] = std::cos(angle);
    }
  evaluation.set(getResult(), std::move(result));
  return success();
}
