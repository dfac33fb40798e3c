// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-residual-norm: a norm, and the addition of a residual before it.
//
// In a decode step (lm.form = "decode") they become the prologue of the matmul (or of the experts) that read
// them: each thread computes the row for itself, which costs less than a launch. The weighted sum over a
// row's experts comes along. In a prompt they become one pass over the rows:
//
//   %y = lm.add %x, %o               %y, %n = lm.group rows {
//   %n = lm.rms_norm %y, %w    ->      %y = lm.add %x, %o
//                                      %n = lm.rms_norm %y, %w
//                                      lm.yield %y, %n }
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_FUSERESIDUALNORMPASS
#include "passes/Passes.h.inc"

namespace {

/// Whether a program on whole rows computes `op`.
bool isInRows(Operation *op) { return op && (isOnWholeRows(op) || isa<lm::SelectRowsOp, lm::CombineOp>(op)); }

/// The plain rows that a matmul or a layer of experts (bare or in a group) multiplies, or null.
Value leftOf(Operation *op) {
  if (auto linear = dyn_cast<lm::LinearOp>(op))
    return linear.getInput();
  if (auto experts = dyn_cast<lm::ExpertLinearOp>(op))
    return cast<RankedTensorType>(experts.getInput().getType()).getRank() == 2 ? experts.getInput() : Value();
  auto group = dyn_cast<lm::GroupOp>(op);
  if (!group || (group.getKind() != lm::GroupKind::matmul && group.getKind() != lm::GroupKind::experts))
    return {};
  for (Operation &inner : group.getBody().front())
    if (isa<lm::LinearOp, lm::ExpertLinearOp>(inner))
      return leftOf(&inner);
  return {};
}

/// Whether what follows a product of `group` reads a result of `op`: a prologue keeps nothing for epilogues.
bool isReadByEpilogue(lm::GroupOp group, Operation *op) {
  auto isProduct = [](Operation *op) { return isa<lm::LinearOp, lm::ExpertLinearOp>(op); };
  return llvm::any_of(op->getUsers(), [&](Operation *user) {
    return user->getParentOp() == group && !isProduct(user) &&
           llvm::any_of(group.getBody().front(),
                        [&](Operation &before) { return isProduct(&before) && before.isBeforeInBlock(user); });
  });
}

/// Takes the producers of what `group` uses that are `wanted` into it, as long as that is possible.
lm::GroupOp absorbProducers(RewriterBase &rewriter, lm::GroupOp group,
                            llvm::function_ref<bool(Operation *)> wanted) {
  for (bool changed = true; changed;) {
    changed = false;
    SetVector<Value> used;
    group.walk([&](Operation *op) {
      if (!isa<lm::SelectRowsOp>(
              op)) // what it selects from are all rows: not one program with the selected ones
        used.insert(op->operand_begin(), op->operand_end());
    });
    for (Value value : used) {
      Operation *producer = value.getDefiningOp();
      if (!producer || group->isAncestor(producer) || !wanted(producer) || !canAbsorb(group, producer) ||
          isReadByEpilogue(group, producer))
        continue;
      group = absorb(rewriter, group, producer);
      changed = true;
      break;
    }
  }
  return group;
}

struct FuseResidualNormPass : impl::FuseResidualNormPassBase<FuseResidualNormPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    auto form = getOperation()->getAttrOfType<StringAttr>("lm.form");
    if (form && form.getValue() == "decode")
      fuseIntoMatmuls(rewriter);
    fuseIntoRows(rewriter);
  }

  void fuseIntoMatmuls(RewriterBase &rewriter) {
    SmallVector<Operation *> matmuls;
    for (Operation &op : getOperation().getBody().front())
      if (leftOf(&op))
        matmuls.push_back(&op);
    for (Operation *matmul : matmuls) {
      bool experts = isa<lm::ExpertLinearOp>(matmul);
      lm::GroupOp group =
          wrapInGroup(rewriter, matmul, experts ? lm::GroupKind::experts : lm::GroupKind::matmul);
      Operation *producer = leftOf(group).getDefiningOp();
      if (!producer || group->isAncestor(producer) || !isInRows(producer) || isReadByEpilogue(group, producer))
        continue;
      bool shared =
          llvm::any_of(producer->getUsers(), [&](Operation *user) { return !group->isAncestor(user); });
      if (shared && isa<lm::RmsNormOp, lm::LayerNormOp>(producer)) {
        // Several matmuls read one norm: each but the last computes it anew.
        rewriter.setInsertionPoint(group);
        Operation *copy = rewriter.clone(*producer);
        rewriter.replaceUsesWithIf(producer->getResult(0), copy->getResult(0),
                                   [&](OpOperand &use) { return group->isAncestor(use.getOwner()); });
        producer = copy;
      }
      if (!canAbsorb(group, producer))
        continue;
      absorbProducers(rewriter, absorb(rewriter, group, producer), isInRows);
    }
  }

  void fuseIntoRows(RewriterBase &rewriter) {
    SmallVector<Operation *> norms;
    for (Operation &op : getOperation().getBody().front())
      if (isa<lm::RmsNormOp, lm::LayerNormOp>(op))
        norms.push_back(&op);
    for (Operation *norm : llvm::reverse(norms))
      if (isa<func::FuncOp>(norm->getParentOp())) // the last norm may have taken an earlier one along
        absorbProducers(rewriter, wrapInGroup(rewriter, norm, lm::GroupKind::rows),
                        headWidth(norm) ? isElementwise : isInRows);
    // What no norm reads: the sum over experts that ends the layers, with its residual.
    for (lm::CombineOp combine : SmallVector<lm::CombineOp>(getOperation().getOps<lm::CombineOp>()))
      if (auto add = combine->hasOneUse() ? dyn_cast<lm::AddOp>(*combine->user_begin()) : nullptr)
        if (isa<func::FuncOp>(add->getParentOp()))
          absorbProducers(rewriter, wrapInGroup(rewriter, add, lm::GroupKind::rows), isInRows);
  }
};

} // namespace
} // namespace sinter
