// SPDX-License-Identifier: Apache-2.0
// How elementwise operations differentiate. SoftcapBackwardOp and its like are gradients themselves: none.
#include "dialects/lm/Gradients.h"

using namespace mlir;
using namespace sinter::lm;

/// The rule of an activation: BackwardOp(gradient, input).
template <typename BackwardOp, typename ForwardOp>
static LogicalResult differentiateUnary(ForwardOp op, Gradients &g) {
  if (g.wants(op.getInput()))
    g.add(op.getInput(), BackwardOp::create(g.builder, op.getLoc(), g.of(op.getResult()), op.getInput()));
  return success();
}

LogicalResult SiluOp::differentiate(Gradients &g) { return differentiateUnary<SiluBackwardOp>(*this, g); }
LogicalResult ReluOp::differentiate(Gradients &g) { return differentiateUnary<ReluBackwardOp>(*this, g); }
LogicalResult SigmoidOp::differentiate(Gradients &g) {
  return differentiateUnary<SigmoidBackwardOp>(*this, g);
}
LogicalResult TanhOp::differentiate(Gradients &g) { return differentiateUnary<TanhBackwardOp>(*this, g); }
LogicalResult GeluOp::differentiate(Gradients &g) { return differentiateUnary<GeluBackwardOp>(*this, g); }
LogicalResult GeluTanhOp::differentiate(Gradients &g) {
  return differentiateUnary<GeluTanhBackwardOp>(*this, g);
}
LogicalResult QuickGeluOp::differentiate(Gradients &g) {
  return differentiateUnary<QuickGeluBackwardOp>(*this, g);
}

LogicalResult AddOp::differentiate(Gradients &g) {
  g.add(getLhs(), g.of(getResult()));
  g.add(getRhs(), g.of(getResult()));
  return success();
}

LogicalResult MulOp::differentiate(Gradients &g) {
  Value gradient = g.of(getResult());
  if (g.wants(getLhs()))
    g.add(getLhs(), MulOp::create(g.builder, getLoc(), gradient, getRhs()));
  if (g.wants(getRhs()))
    g.add(getRhs(), MulOp::create(g.builder, getLoc(), gradient, getLhs()));
  return success();
}

LogicalResult ScaleOp::differentiate(Gradients &g) {
  if (g.wants(getInput()))
    g.add(getInput(), ScaleOp::create(g.builder, getLoc(), g.of(getResult()), getFactor()));
  return success();
}

LogicalResult DropoutOp::differentiate(Gradients &g) {
  if (g.wants(getInput()))
    g.add(getInput(), DropoutOp::create(g.builder, getLoc(), getInput().getType(), g.of(getResult()),
                                        getSeed(), getRateAttr(), getSiteAttr()));
  return success();
}

LogicalResult SoftcapOp::differentiate(Gradients &g) {
  if (g.wants(getInput()))
    g.add(getInput(),
          SoftcapBackwardOp::create(g.builder, getLoc(), g.of(getResult()), getInput(), getCap()));
  return success();
}

LogicalResult ClampOp::differentiate(Gradients &g) {
  if (g.wants(getInput()))
    g.add(getInput(),
          ClampBackwardOp::create(g.builder, getLoc(), g.of(getResult()), getInput(), getLimit()));
  return success();
}
