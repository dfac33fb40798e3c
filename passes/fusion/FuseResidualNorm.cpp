// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-residual-norm: a norm, and the addition of a residual before it.
//
// In a decode step (lm.form = "decode") they become the prologue of the matmul that reads them: each thread computes the
// row for itself, which costs less than a launch. In a prompt they become one pass over the rows:
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

bool isBareRowwise(Operation *op) { return op && (isRowwise(op) || isa<lm::SelectRowsOp>(op)); }

/// Takes the bare row-wise producers of what `group` uses into it, as long as that is possible.
lm::GroupOp absorbProducers(RewriterBase &rewriter, lm::GroupOp group) {
  for (bool changed = true; changed;) {
    changed = false;
    SetVector<Value> used;
    group.walk([&](Operation *op) {
      if (!isa<lm::SelectRowsOp>(op)) // what it selects from are all rows: not one program with the selected ones
        used.insert(op->operand_begin(), op->operand_end());
    });
    for (Value value : used) {
      Operation *producer = value.getDefiningOp();
      if (!producer || group->isAncestor(producer) || !isBareRowwise(producer) || !canAbsorb(group, producer))
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
    for (Operation &op : getOperation().getBody().front()) {
      auto group = dyn_cast<lm::GroupOp>(op);
      if (isa<lm::LinearOp>(op) || (group && group.getKind() == lm::GroupKind::matmul))
        matmuls.push_back(&op);
    }
    for (Operation *matmul : matmuls) {
      lm::GroupOp group = wrapInGroup(rewriter, matmul, lm::GroupKind::matmul);
      auto linear = *group.getBody().front().getOps<lm::LinearOp>().begin();
      Operation *producer = linear.getInput().getDefiningOp();
      if (!producer || group->isAncestor(producer) || !isBareRowwise(producer))
        continue;
      bool shared = llvm::any_of(producer->getUsers(), [&](Operation *user) { return !group->isAncestor(user); });
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
      absorbProducers(rewriter, absorb(rewriter, group, producer));
    }
  }

  void fuseIntoRows(RewriterBase &rewriter) {
    SmallVector<Operation *> norms;
    for (Operation &op : getOperation().getBody().front())
      if (isa<lm::RmsNormOp, lm::LayerNormOp>(op))
        norms.push_back(&op);
    for (Operation *norm : llvm::reverse(norms))
      if (isa<func::FuncOp>(norm->getParentOp())) // the last norm may have taken an earlier one along
        absorbProducers(rewriter, wrapInGroup(rewriter, norm, lm::GroupKind::rows));
  }
};

} // namespace
} // namespace sinter
