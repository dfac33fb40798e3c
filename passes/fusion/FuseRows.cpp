// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-rows: in training, operations on whole rows of one width become one pass over the rows where one
// reads what the other makes, or both read the same rows. What others need too is still written.
//
//   %d = lm.rms_norm_backward_input %g, %x, %w        %d, %p = lm.group rows {
//   %n = lm.rms_norm %x                          ->     ...
//   %p = lm.mul %g, %n                                  lm.yield %d, %p }
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_FUSEROWSPASS
#include "passes/Passes.h.inc"

namespace {

/// Operations in one group at most: their vectors must stay in registers.
constexpr int64_t mostOperations = 8;

template <typename OpT> bool isOnGroups(Operation *op) {
  auto norm = dyn_cast<OpT>(op);
  return norm && norm.getGroup().has_value();
}

/// Whether `op` is a program on whole rows.
bool isOnRows(Operation *op) {
  if (isOnGroups<lm::RmsNormOp>(op) || isOnGroups<lm::LayerNormOp>(op) ||
      isOnGroups<lm::RmsNormBackwardInputOp>(op) || isOnGroups<lm::LayerNormBackwardInputOp>(op))
    return false;
  auto type = op->getNumResults() == 1 ? dyn_cast<RankedTensorType>(op->getResult(0).getType()) : nullptr;
  if (!type || type.hasStaticShape() || type.getRank() != 2)
    return false;
  return isActivation(op) ||
         isa<lm::RmsNormOp, lm::LayerNormOp, lm::RmsNormBackwardInputOp, lm::LayerNormBackwardInputOp,
             lm::AddOp, lm::MulOp, lm::ScaleOp, lm::ClampOp, lm::DropoutOp, lm::SiluBackwardOp,
             lm::ReluBackwardOp, lm::SigmoidBackwardOp, lm::TanhBackwardOp, lm::GeluBackwardOp,
             lm::GeluTanhBackwardOp, lm::QuickGeluBackwardOp, lm::ClampBackwardOp>(op);
}

/// A group of rows that `op` can join: one that makes or reads an operand of it, the nearest one. The
/// backward pass begins with `turn`: what it makes does not belong into the forward pass, from where it would
/// have to be kept.
lm::GroupOp findGroup(Operation *op, Operation *turn) {
  lm::GroupOp best;
  auto consider = [&](Operation *place) {
    auto group = dyn_cast_or_null<lm::GroupOp>(place);
    if (!group || group.getKind() != lm::GroupKind::rows || !group->isBeforeInBlock(op) ||
        (turn && group->isBeforeInBlock(turn) != op->isBeforeInBlock(turn)) ||
        lm::width(group.getResult(0)) != lm::width(op->getResult(0)) ||
        static_cast<int64_t>(group.getBody().front().getOperations().size()) > mostOperations ||
        !canAbsorb(group, op))
      return;
    if (!best || best->isBeforeInBlock(group))
      best = group;
  };
  for (Value operand : op->getOperands()) {
    consider(operand.getDefiningOp());
    // Rows: neither parameters nor dropout's seed.
    if (auto type = dyn_cast<RankedTensorType>(operand.getType()); type && !type.hasStaticShape())
      for (Operation *user : operand.getUsers())
        consider(op->getBlock()->findAncestorOpInBlock(*user));
  }
  return best;
}

struct FuseRowsPass : impl::FuseRowsPassBase<FuseRowsPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<Operation *> ops;
    for (Operation &op : getOperation().getBody().front())
      if (isOnRows(&op))
        ops.push_back(&op);
    auto turns = getOperation().getOps<lm::CrossEntropyBackwardOp>();
    Operation *turn = turns.empty() ? nullptr : (*turns.begin()).getOperation();
    for (Operation *op : ops) {
      if (lm::GroupOp group = findGroup(op, turn))
        absorb(rewriter, group, op);
      else
        wrapInGroup(rewriter, op, lm::GroupKind::rows);
    }
  }
};

} // namespace
} // namespace sinter
