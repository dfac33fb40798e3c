// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-rope: the norm of each head, rotary positions and the slices and limits before them become the
// epilogue of the matmul that makes the queries and keys.
//
//   %y = lm.linear %x, %w              %q, %k = lm.group matmul {
//   %s = lm.slice %y from 0              %y = lm.linear %x, %w
//   %q = lm.rope %s, %cos, %sin   ->     %s = lm.slice %y from 0
//                                        %q = lm.rope %s, %cos, %sin ... lm.yield %q, %k }
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_FUSEROPEPASS
#include "passes/Passes.h.inc"

namespace {

/// Whether `op` works on each head alone.
bool isPerHead(Operation *op) {
  if (auto norm = dyn_cast<lm::RmsNormOp>(op))
    return norm.getGroup().has_value();
  if (auto norm = dyn_cast<lm::LayerNormOp>(op))
    return norm.getGroup().has_value();
  return isa<lm::RopeOp, lm::SliceOp, lm::ClampOp>(op);
}

struct FuseRopePass : impl::FuseRopePassBase<FuseRopePass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    for (Operation &op : llvm::make_early_inc_range(getOperation().getBody().front())) {
      if (!isPerHead(&op))
        continue;
      Operation *producer = op.getOperand(0).getDefiningOp();
      auto group = dyn_cast_or_null<lm::GroupOp>(producer);
      if (isa_and_nonnull<lm::LinearOp>(producer))
        group = wrapInGroup(rewriter, producer, lm::GroupKind::matmul);
      if (group && group.getKind() == lm::GroupKind::matmul && canAbsorb(group, &op))
        absorb(rewriter, group, &op);
    }
  }
};

} // namespace
} // namespace sinter
