// SPDX-License-Identifier: Apache-2.0
// Growing lm.group by moving operations in.
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {

bool isActivation(Operation *op) {
  return isa<lm::SiluOp, lm::ReluOp, lm::SigmoidOp, lm::TanhOp, lm::GeluOp, lm::GeluTanhOp, lm::QuickGeluOp>(
      op);
}

lm::GroupOp definingGroup(Value value) { return value.getDefiningOp<lm::GroupOp>(); }

Operation *definingOpThroughGroups(Value value) {
  while (auto group = definingGroup(value))
    value = group.getBody().front().getTerminator()->getOperand(cast<OpResult>(value).getResultNumber());
  return value.getDefiningOp();
}

bool isRowwise(Operation *op) {
  return isActivation(op) || isa<lm::RmsNormOp, lm::LayerNormOp, lm::RopeOp, lm::AddOp, lm::MulOp,
                                 lm::ScaleOp, lm::SoftcapOp, lm::ClampOp, lm::SliceOp, lm::ConcatOp>(op);
}

/// Inside `group`, its results are the values they stand for; so they are for every user when `everywhere`.
static void replaceResults(RewriterBase &rewriter, lm::GroupOp group, bool everywhere) {
  Operation *yield = group.getBody().front().getTerminator();
  for (OpResult result : group->getResults())
    rewriter.replaceUsesWithIf(result, yield->getOperand(result.getResultNumber()), [&](OpOperand &use) {
      return everywhere || group->isAncestor(use.getOwner());
    });
}

/// Rebuilds `group` so that it yields just what is used outside of it.
static lm::GroupOp rebuildResults(RewriterBase &rewriter, lm::GroupOp group) {
  replaceResults(rewriter, group, /*everywhere=*/true);
  SmallVector<Value> escaping;
  for (Operation &op : group.getBody().front().without_terminator())
    for (Value value : op.getResults())
      if (llvm::any_of(value.getUsers(), [&](Operation *user) { return !group->isAncestor(user); }))
        escaping.push_back(value);

  rewriter.setInsertionPoint(group);
  auto rebuilt = lm::GroupOp::create(rewriter, group.getLoc(), TypeRange(ValueRange(escaping)),
                                     group.getKindAttr(), group.getLabelAttr());
  rewriter.inlineRegionBefore(group.getBody(), rebuilt.getBody(), rebuilt.getBody().end());
  Operation *yield = rebuilt.getBody().front().getTerminator();
  rewriter.setInsertionPoint(yield);
  rewriter.replaceOpWithNewOp<lm::YieldOp>(yield, escaping);
  for (auto [value, result] : llvm::zip_equal(escaping, rebuilt.getResults()))
    rewriter.replaceUsesWithIf(value, result,
                               [&](OpOperand &use) { return !rebuilt->isAncestor(use.getOwner()); });
  rewriter.eraseOp(group);
  return rebuilt;
}

lm::GroupOp wrapInGroup(RewriterBase &rewriter, Operation *op, lm::GroupKind kind) {
  if (auto group = dyn_cast<lm::GroupOp>(op))
    return group;
  rewriter.setInsertionPoint(op);
  auto group = lm::GroupOp::create(rewriter, op->getLoc(), TypeRange(), kind, nullptr);
  rewriter.createBlock(&group.getBody());
  auto yield = lm::YieldOp::create(rewriter, op->getLoc(), ValueRange());
  rewriter.moveOpBefore(op, yield);
  return rebuildResults(rewriter, group);
}

bool canAbsorb(lm::GroupOp group, Operation *op) {
  Block *block = group->getBlock();
  if (op->getBlock() != block || op == group)
    return false;
  bool opFirst = op->isBeforeInBlock(group);
  Operation *first = opFirst ? op : group.getOperation(), *last = opFirst ? group.getOperation() : op;
  // The pair will stand where `last` stands: nobody in between may use what `first` computes.
  return llvm::all_of(first->getUsers(), [&](Operation *user) {
    Operation *place = block->findAncestorOpInBlock(*user);
    return place == last || !place->isBeforeInBlock(last);
  });
}

lm::GroupOp absorb(RewriterBase &rewriter, lm::GroupOp group, Operation *op) {
  if (!op->isBeforeInBlock(group))
    rewriter.moveOpBefore(group, op);
  bool isProducer = llvm::any_of(op->getUsers(), [&](Operation *user) { return group->isAncestor(user); });
  Block &body = group.getBody().front();
  Operation *place = isProducer ? &body.front() : body.getTerminator();
  if (auto other = dyn_cast<lm::GroupOp>(op)) {
    replaceResults(rewriter, other, /*everywhere=*/true);
    for (Operation &nested : llvm::make_early_inc_range(other.getBody().front().without_terminator()))
      rewriter.moveOpBefore(&nested, place);
    rewriter.eraseOp(other);
  } else {
    rewriter.moveOpBefore(op, place);
  }
  return rebuildResults(rewriter, group);
}

} // namespace sinter
