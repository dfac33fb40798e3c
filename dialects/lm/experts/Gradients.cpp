// SPDX-License-Identifier: Apache-2.0
// How routing and expert layers differentiate. The choice of experts is constant, its weights are not.
// RouteBackwardOp, ExpertLinearBackwardInputOp, ExpertLinearBackwardWeightOp, CombineBackwardInputOp and
// CombineBackwardWeightsOp are gradients themselves: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult RouteOp::differentiate(Gradients &g) {
  if (g.wants(getLogits()))
    g.add(getLogits(), RouteBackwardOp::create(g.builder, getLoc(), g.of(getWeights()), getLogits(),
                                               getChosen(), getNormaliseAttr()));
  return success();
}

LogicalResult ExpertLinearOp::differentiate(Gradients &g) {
  Value gradient = g.of(getResult());
  if (g.wants(getInput()))
    g.add(getInput(), ExpertLinearBackwardInputOp::create(g.builder, getLoc(), getInput().getType(), gradient,
                                                          getWeight(), getChosen()));
  if (g.wants(getWeight()))
    g.add(getWeight(), ExpertLinearBackwardWeightOp::create(g.builder, getLoc(), gradientType(getWeight()),
                                                            gradient, getInput(), getChosen()));
  return success();
}

LogicalResult CombineOp::differentiate(Gradients &g) {
  Value gradient = g.of(getResult());
  if (g.wants(getInput()))
    g.add(getInput(),
          CombineBackwardInputOp::create(g.builder, getLoc(), getInput().getType(), gradient, getWeights()));
  if (g.wants(getWeights()))
    g.add(getWeights(), CombineBackwardWeightsOp::create(g.builder, getLoc(), getWeights().getType(),
                                                         gradient, getInput()));
  return success();
}
