// SPDX-License-Identifier: Apache-2.0
// Growing lm.group by moving operations in.
#include "passes/fusion/Grouping.h"

#include "llvm/ADT/TypeSwitch.h"

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

int64_t headWidth(Operation *op) {
  if (auto rope = dyn_cast<lm::RopeOp>(op))
    return rope.getHeadDim();
  if (auto append = dyn_cast<lm::AppendOp>(op))
    return lm::width(append.getKey()) / static_cast<int64_t>(append.getKvHeads());
  return llvm::TypeSwitch<Operation *, int64_t>(op)
      .Case<lm::RmsNormOp, lm::LayerNormOp, lm::RmsNormBackwardInputOp, lm::LayerNormBackwardInputOp>(
          [](auto norm) { return static_cast<int64_t>(norm.getGroup().value_or(0)); })
      .Default([](Operation *) -> int64_t { return 0; });
}

bool isElementwise(Operation *op) {
  return isRowwise(op) && !isa<lm::RmsNormOp, lm::LayerNormOp, lm::RopeOp, lm::SliceOp, lm::ConcatOp>(op);
}

bool isOnWholeRows(Operation *op) {
  return isElementwise(op) || (isa<lm::RmsNormOp, lm::LayerNormOp>(op) && headWidth(op) == 0);
}

/// The slices of a product in `group` that `value` is computed from there.
static void collectSlices(lm::GroupOp group, Value value, SmallPtrSetImpl<Operation *> &slices) {
  Operation *op = value.getDefiningOp();
  if (!op || !group->isAncestor(op) || isa<lm::LinearOp, lm::LinearBackwardInputOp, lm::ReadOp>(op))
    return;
  if (isa<lm::SliceOp>(op))
    return void(slices.insert(op));
  for (Value operand : op->getOperands())
    collectSlices(group, operand, slices);
}

bool fitsEpilogue(lm::GroupOp group, Operation *op) {
  if (isa<lm::SliceOp, lm::ConcatOp>(op))
    return false;
  Operation *yield = group.getBody().front().getTerminator();
  SmallPtrSet<Operation *, 4> slices;
  for (Value operand : op->getOperands()) {
    if (definingGroup(operand) == group)
      collectSlices(group, yield->getOperand(cast<OpResult>(operand).getResultNumber()), slices);
    else if (isa_and_nonnull<lm::CachedAttentionOp>(definingOpThroughGroups(operand)))
      return false;
  }
  if (slices.size() > 1 && !isa<lm::AppendOp>(op))
    return false;
  int64_t width = headWidth(op);
  return llvm::none_of(group.getBody().front(), [&](Operation &inner) {
    SmallPtrSet<Operation *, 4> others;
    for (Value result : inner.getResults())
      collectSlices(group, result, others);
    bool shares =
        slices.empty() || llvm::any_of(slices, [&](Operation *each) { return others.contains(each); });
    return width && headWidth(&inner) && shares && headWidth(&inner) != width;
  });
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
