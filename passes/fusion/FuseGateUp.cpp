// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-gate-up: the two halves of a gated feed-forward layer (SwiGLU, GeGLU: Shazeer 2020,
// arXiv:2002.05202) become one kernel with two accumulators.
//
//   %g = lm.linear %x, %wg            %h = lm.group matmul {
//   %u = lm.linear %x, %wu              %g = lm.linear %x, %wg
//   %a = lm.silu %g            ->       %u = lm.linear %x, %wu
//   %h = lm.mul %a, %u                  %a = lm.silu %g
//                                       %h = lm.mul %a, %u
//                                       lm.yield %h }
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_FUSEGATEUPPASS
#include "passes/Passes.h.inc"

namespace {

struct FuseGateUp : OpRewritePattern<lm::MulOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(lm::MulOp mul, PatternRewriter &rewriter) const override {
    if (mul->getParentOfType<lm::GroupOp>())
      return rewriter.notifyMatchFailure(mul, "expected a product that is in no group yet");
    Value gated = mul.getLhs(), plain = mul.getRhs();
    if (gated.getDefiningOp<lm::LinearOp>())
      std::swap(gated, plain);
    Operation *activation = gated.getDefiningOp();
    if (!activation || !isActivation(activation) || !gated.hasOneUse())
      return rewriter.notifyMatchFailure(mul, "expected one side to be an activation with no other use");
    auto gate = activation->getOperand(0).getDefiningOp<lm::LinearOp>();
    auto up = plain.getDefiningOp<lm::LinearOp>();
    if (!gate || !up || gate == up || !gate->hasOneUse() || !up->hasOneUse())
      return rewriter.notifyMatchFailure(mul,
                                         "expected two linear layers with no other use behind the product");
    if (gate.getInput() != up.getInput() || gate.getWeight().getType() != up.getWeight().getType())
      return rewriter.notifyMatchFailure(mul,
                                         "expected both layers to read one input with weights of one type");

    SmallVector<Operation *> others = {activation, up, mul};
    llvm::sort(others, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    lm::GroupOp group = wrapInGroup(rewriter, gate, lm::GroupKind::matmul);
    for (Operation *op : others)
      group = absorb(rewriter, group, op); // each uses or is used by members alone, so canAbsorb holds
    return success();
  }
};

struct FuseGateUpPass : impl::FuseGateUpPassBase<FuseGateUpPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseGateUp>(&getContext());
    walkAndApplyPatterns(getOperation(), std::move(patterns));
  }
};

} // namespace
} // namespace sinter
