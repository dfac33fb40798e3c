// SPDX-License-Identifier: Apache-2.0
// How losses differentiate. CrossEntropyBackwardOp and BalanceLossBackwardOp are gradients themselves: none.
// RouterVotesOp has its rule in that of BalanceLossOp: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult CrossEntropyOp::differentiate(Gradients &g) {
  if (g.wants(getLogits()))
    g.add(getLogits(),
          CrossEntropyBackwardOp::create(g.builder, getLoc(), g.of(getResult()), getLogits(), getTargets()));
  return success();
}

LogicalResult BalanceLossOp::differentiate(Gradients &g) {
  Value gradient = g.of(getResult());
  g.add(getLoss(), gradient);
  for (Value logits : getLogits())
    if (g.wants(logits))
      g.add(logits, BalanceLossBackwardOp::create(g.builder, getLoc(), gradient, getVotes(), logits,
                                                  getCoefficientAttr(),
                                                  g.builder.getI64IntegerAttr(getLogits().size())));
  return success();
}
