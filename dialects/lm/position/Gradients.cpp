// SPDX-License-Identifier: Apache-2.0
// How rotary positions differentiate. RopeAnglesOp and SinusoidsOp depend on nothing that is trained: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

/// A rotation's transpose turns back: the same operation with the sines negated.
LogicalResult RopeOp::differentiate(Gradients &g) {
  if (!g.wants(getInput()))
    return success();
  Value back = ScaleOp::create(g.builder, getLoc(), getSin(), llvm::APFloat(-1.0));
  g.add(getInput(), RopeOp::create(g.builder, getLoc(), g.of(getResult()), getCos(), back, getHeadDimAttr(),
                                   getInterleavedAttr()));
  return success();
}
