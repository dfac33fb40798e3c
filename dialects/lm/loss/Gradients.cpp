// SPDX-License-Identifier: Apache-2.0
// How losses differentiate. CrossEntropyBackwardOp is a gradient itself: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

LogicalResult CrossEntropyOp::differentiate(Gradients &g) {
  if (g.wants(getLogits()))
    g.add(getLogits(),
          CrossEntropyBackwardOp::create(g.builder, getLoc(), g.of(getResult()), getLogits(), getTargets()));
  return success();
}
