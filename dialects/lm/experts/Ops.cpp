// SPDX-License-Identifier: Apache-2.0
// When routing and expert layers are valid.
#include "dialects/lm/LmDialect.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult RouteOp::verify() {
  int64_t k = getK(), experts = width(getLogits());
  if (k <= 0 || k > experts)
    return emitOpError() << "expected k within [1, " << experts << "], found " << k;
  if (failed(checkShape(*this, getWeights(), "the weights", 2, k)))
    return failure();
  return checkShape(*this, getChosen(), "the chosen experts", 2, k);
}

LogicalResult ExpertLinearOp::verify() {
  auto weight = cast<RankedTensorType>(getWeight().getType());
  if (weight.getRank() != 3)
    return emitOpError() << "expected a weight of rank 3, found " << weight;
  int64_t rank = cast<RankedTensorType>(getInput().getType()).getRank();
  if (rank != 2 && rank != 3)
    return emitOpError() << "expected an input of rank 2 or 3, found " << getInput().getType();
  if (failed(checkShape(*this, getInput(), "the input", rank, weight.getDimSize(2))))
    return failure();
  return checkShape(*this, getResult(), "the result", 3, weight.getDimSize(1));
}

LogicalResult CombineOp::verify() {
  auto input = cast<RankedTensorType>(getInput().getType());
  if (input.getRank() != 3)
    return emitOpError() << "expected an input of rank 3, found " << input;
  if (failed(checkShape(*this, getWeights(), "the weights", 2, input.getDimSize(1))))
    return failure();
  return checkShape(*this, getResult(), "the result", 2, input.getDimSize(2));
}

LogicalResult RouteBackwardOp::verify() {
  int64_t k = width(getChosen()), experts = width(getLogits());
  if (k <= 0 || k > experts)
    return emitOpError() << "expected k within [1, " << experts << "], found " << k;
  return checkShape(*this, getGradient(), "the gradient", 2, k);
}

LogicalResult ExpertLinearBackwardInputOp::verify() {
  auto weight = cast<RankedTensorType>(getWeight().getType());
  if (weight.getRank() != 3)
    return emitOpError() << "expected a weight of rank 3, found " << weight;
  int64_t rank = cast<RankedTensorType>(getResult().getType()).getRank();
  if (rank != 2 && rank != 3)
    return emitOpError() << "expected a result of rank 2 or 3, found " << getResult().getType();
  if (failed(checkShape(*this, getGradient(), "the gradient", 3, weight.getDimSize(1))))
    return failure();
  return checkShape(*this, getResult(), "the result", rank, weight.getDimSize(2));
}

LogicalResult ExpertLinearBackwardWeightOp::verify() {
  auto weight = cast<RankedTensorType>(getResult().getType());
  if (weight.getRank() != 3 || !weight.hasStaticShape())
    return emitOpError() << "expected a result of rank 3 and static shape, found " << weight;
  int64_t rank = cast<RankedTensorType>(getInput().getType()).getRank();
  if (rank != 2 && rank != 3)
    return emitOpError() << "expected an input of rank 2 or 3, found " << getInput().getType();
  if (failed(checkShape(*this, getGradient(), "the gradient", 3, weight.getDimSize(1))))
    return failure();
  return checkShape(*this, getInput(), "the input", rank, weight.getDimSize(2));
}

LogicalResult CombineBackwardInputOp::verify() {
  auto result = cast<RankedTensorType>(getResult().getType());
  if (failed(checkShape(*this, getResult(), "the result", 3, width(getGradient()))))
    return failure();
  return checkShape(*this, getWeights(), "the weights", 2, result.getDimSize(1));
}

LogicalResult CombineBackwardWeightsOp::verify() {
  if (failed(checkShape(*this, getInput(), "the input", 3, width(getGradient()))))
    return failure();
  return checkShape(*this, getResult(), "the result", 2,
                    cast<RankedTensorType>(getInput().getType()).getDimSize(1));
}
