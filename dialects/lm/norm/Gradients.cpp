// SPDX-License-Identifier: Apache-2.0
// How normalisations differentiate. RmsNormBackwardInputOp, RmsNormBackwardWeightOp, LayerNormBackwardInputOp
// and LayerNormBackwardWeightOp are gradients themselves: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult RmsNormOp::differentiate(Gradients &g) {
  Value gradient = g.of(getResult());
  if (g.wants(getInput()))
    g.add(getInput(),
          RmsNormBackwardInputOp::create(g.builder, getLoc(), getInput().getType(), gradient, getInput(),
                                         getWeight(), getEpsilonAttr(), getOffsetAttr(), getGroupAttr()));
  if (getWeight() && g.wants(getWeight()))
    g.add(getWeight(),
          RmsNormBackwardWeightOp::create(g.builder, getLoc(), gradientType(getWeight()), gradient,
                                          getInput(), getEpsilonAttr(), getGroupAttr()));
  return success();
}

LogicalResult LayerNormOp::differentiate(Gradients &g) {
  Value gradient = g.of(getResult());
  if (g.wants(getInput()))
    g.add(getInput(),
          LayerNormBackwardInputOp::create(g.builder, getLoc(), getInput().getType(), gradient, getInput(),
                                           getWeight(), getEpsilonAttr(), getGroupAttr()));
  if (getWeight() && g.wants(getWeight()))
    g.add(getWeight(),
          LayerNormBackwardWeightOp::create(g.builder, getLoc(), gradientType(getWeight()), gradient,
                                            getInput(), getEpsilonAttr(), getGroupAttr()));
  if (getBias() && g.wants(getBias()))
    g.add(getBias(), ColumnSumOp::create(g.builder, getLoc(), gradientType(getBias()), gradient));
  return success();
}
