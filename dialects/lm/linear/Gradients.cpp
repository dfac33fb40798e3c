// SPDX-License-Identifier: Apache-2.0
// How embedding lookups and matrix products differentiate. EmbeddingBackwardOp, LinearBackwardInputOp,
// LinearBackwardWeightOp and ColumnSumOp are gradients themselves: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult EmbeddingOp::differentiate(Gradients &g) {
  if (g.wants(getTable()))
    g.add(getTable(), EmbeddingBackwardOp::create(g.builder, getLoc(), gradientType(getTable()),
                                                  g.of(getResult()), getIds(), getOffset()));
  return success();
}

LogicalResult LinearOp::differentiate(Gradients &g) {
  Value gradient = g.of(getResult());
  if (g.wants(getInput()))
    g.add(getInput(),
          LinearBackwardInputOp::create(g.builder, getLoc(), getInput().getType(), gradient, getWeight()));
  if (g.wants(getWeight()))
    g.add(getWeight(), LinearBackwardWeightOp::create(g.builder, getLoc(), gradientType(getWeight()),
                                                      gradient, getInput()));
  if (getBias() && g.wants(getBias()))
    g.add(getBias(), ColumnSumOp::create(g.builder, getLoc(), gradientType(getBias()), gradient));
  return success();
}
