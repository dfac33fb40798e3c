// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-epilogue: activations, scales, soft-caps and the addition of the residual become the epilogue of
// the matmul before them.
//
//   %y = lm.linear %x, %w                %z = lm.group matmul {
//   %z = lm.add %residual, %y      ->      %y = lm.linear %x, %w
//                                          %z = lm.add %residual, %y
//                                          lm.yield %z }
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_FUSEEPILOGUEPASS
#include "passes/Passes.h.inc"

namespace {

/// The matmul (bare or in a group) that makes an operand of `op` which nothing else uses; of two, the later
/// one.
Operation *findMatmul(Operation *op) {
  Operation *latest = nullptr;
  for (Value operand : op->getOperands()) {
    Operation *producer = operand.getDefiningOp();
    auto group = dyn_cast_or_null<lm::GroupOp>(producer);
    bool isMatmul =
        isa_and_nonnull<lm::LinearOp>(producer) || (group && group.getKind() == lm::GroupKind::matmul);
    if (isMatmul && operand.hasOneUse() && (!latest || latest->isBeforeInBlock(producer)))
      latest = producer;
  }
  return latest;
}

struct FuseEpiloguePass : impl::FuseEpiloguePassBase<FuseEpiloguePass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    for (Operation &op : llvm::make_early_inc_range(getOperation().getBody().front())) {
      if (!isElementwise(&op))
        continue;
      Operation *producer = findMatmul(&op);
      if (!producer)
        continue;
      lm::GroupOp group = wrapInGroup(rewriter, producer, lm::GroupKind::matmul);
      if (fitsEpilogue(group, &op) && canAbsorb(group, &op))
        absorb(rewriter, group, &op);
    }
  }
};

} // namespace
} // namespace sinter
