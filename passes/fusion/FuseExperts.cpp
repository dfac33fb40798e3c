// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-experts: what happens between the layers of an expert becomes the epilogue of these layers, which
// share a kernel when they read one input.
//
//   %g = lm.expert_linear %x, %wg, %c           %h = lm.group experts {
//   %u = lm.expert_linear %x, %wu, %c             %g = lm.expert_linear %x, %wg, %c
//   %a = lm.silu %g                       ->      %u = lm.expert_linear %x, %wu, %c
//   %h = lm.mul %a, %u                            %a = lm.silu %g
//                                                 %h = lm.mul %a, %u
//                                                 lm.yield %h }
//
// The weighted sum over the experts (lm.combine) joins the addition of the residual and the norm after it, as
// other row-wise operations do: lm-fuse-residual-norm.
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_FUSEEXPERTSPASS
#include "passes/Passes.h.inc"

namespace {

/// An expert layer (bare or first in its group) that makes `value`, or null.
lm::ExpertLinearOp expertLayer(Value value) {
  Operation *op = value.getDefiningOp();
  auto group = dyn_cast_or_null<lm::GroupOp>(op);
  if (!group)
    return dyn_cast_or_null<lm::ExpertLinearOp>(op);
  auto layers = group.getBody().front().getOps<lm::ExpertLinearOp>();
  return layers.empty() ? nullptr : *layers.begin();
}

struct FuseExpertsPass : impl::FuseExpertsPassBase<FuseExpertsPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    for (Operation &op : llvm::make_early_inc_range(getOperation().getBody().front()))
      if (op.hasTrait<OpTrait::Elementwise>())
        fuse(rewriter, &op);
  }

  void fuse(RewriterBase &rewriter, Operation *op) {
    lm::ExpertLinearOp first = expertLayer(op->getOperand(0));
    if (!first)
      return;
    llvm::SetVector<Operation *> producers;
    for (Value operand : op->getOperands()) {
      lm::ExpertLinearOp layer = expertLayer(operand);
      if (!layer || layer.getInput() != first.getInput() || layer.getChosen() != first.getChosen() ||
          !operand.hasOneUse())
        return; // a kernel has one left side
      producers.insert(operand.getDefiningOp());
    }
    lm::GroupOp group = wrapInGroup(rewriter, producers.front(), lm::GroupKind::experts);
    for (Operation *producer : producers.getArrayRef().drop_front()) {
      if (!canAbsorb(group, producer))
        return;
      group = absorb(rewriter, group, producer);
    }
    if (canAbsorb(group, op))
      absorb(rewriter, group, op);
  }
};

} // namespace
} // namespace sinter
