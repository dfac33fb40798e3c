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
  return (headWidth(op) != 0 && !isa<lm::AppendOp>(op)) || isa<lm::ClampOp>(op);
}

/// The slices that all users of `linear` are, when they cut its columns without a rest; else nothing.
SmallVector<lm::SliceOp> slicesOf(lm::LinearOp linear) {
  SmallVector<lm::SliceOp> slices;
  for (Operation *user : linear->getUsers()) {
    auto slice = dyn_cast<lm::SliceOp>(user);
    if (!slice || slice->getBlock() != linear->getBlock())
      return {};
    slices.push_back(slice);
  }
  llvm::sort(slices, [](lm::SliceOp a, lm::SliceOp b) { return a.getOffset() < b.getOffset(); });
  int64_t end = 0;
  for (lm::SliceOp slice : slices) {
    if (static_cast<int64_t>(slice.getOffset()) != end)
      return {};
    end += lm::width(slice.getResult());
  }
  return end == lm::width(linear.getResult()) ? slices : SmallVector<lm::SliceOp>();
}

struct FuseRopePass : impl::FuseRopePassBase<FuseRopePass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    for (auto linear : llvm::make_early_inc_range(getOperation().getOps<lm::LinearOp>())) {
      SmallVector<lm::SliceOp> slices = slicesOf(linear);
      if (slices.empty())
        continue;
      for (lm::SliceOp slice : llvm::reverse(slices)) // so that nothing that reads one stands between them
        rewriter.moveOpAfter(slice, linear);
      lm::GroupOp group = wrapInGroup(rewriter, linear, lm::GroupKind::matmul);
      for (lm::SliceOp slice : slices)
        group = absorb(rewriter, group, slice);
    }
    for (Operation &op : llvm::make_early_inc_range(getOperation().getBody().front())) {
      if (!isPerHead(&op))
        continue;
      Operation *producer = op.getOperand(0).getDefiningOp();
      auto group = dyn_cast_or_null<lm::GroupOp>(producer);
      if (isa_and_nonnull<lm::LinearOp>(producer))
        group = wrapInGroup(rewriter, producer, lm::GroupKind::matmul);
      if (group && group.getKind() == lm::GroupKind::matmul && fitsEpilogue(group, &op) &&
          canAbsorb(group, &op))
        absorb(rewriter, group, &op);
    }
  }
};

} // namespace
} // namespace sinter
