// SPDX-License-Identifier: Apache-2.0
// How row and column moves differentiate. GroupOp has no rule: differentiation comes before fusion.
// SelectRowsBackwardOp and PadColumnsOp are gradients themselves: none. AllReduceOp is applied to gradients
// alone: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

/// The end of every chain: the walk takes the gradients of reads as those of their parameters.
LogicalResult ReadOp::differentiate(Gradients &) { return success(); }

LogicalResult SelectRowsOp::differentiate(Gradients &g) {
  if (g.wants(getInput()))
    g.add(getInput(),
          SelectRowsBackwardOp::create(g.builder, getLoc(), g.of(getResult()), getRows(), getInput()));
  return success();
}

LogicalResult SliceOp::differentiate(Gradients &g) {
  if (g.wants(getInput()))
    g.add(getInput(),
          PadColumnsOp::create(g.builder, getLoc(), getInput().getType(), g.of(getResult()), getOffset()));
  return success();
}

LogicalResult ConcatOp::differentiate(Gradients &g) {
  int64_t offset = 0;
  for (Value input : getInputs()) {
    if (g.wants(input))
      g.add(input, SliceOp::create(g.builder, getLoc(), input.getType(), g.of(getResult()), offset));
    offset += width(input);
  }
  return success();
}
