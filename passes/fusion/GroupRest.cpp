// SPDX-License-Identifier: Apache-2.0
// --lm-group-rest: every operation that no fusion took becomes a group of its own, so that from here on a
// function is a list of groups (and reads of parameters; in training also of what has kernels of its own).
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_GROUPRESTPASS
#include "passes/Passes.h.inc"

namespace {

/// What becomes a kernel of training by itself (passes/training/TrainToKernel.cpp): losses, attention among
/// the rows of the step, and all that has the shape of a parameter.
bool isOfTraining(Operation *op) {
  if (isa<lm::CrossEntropyOp, lm::CrossEntropyBackwardOp, lm::AttentionOp, lm::AttentionBackwardOp,
          lm::BalanceLossBackwardOp>(op))
    return true;
  return llvm::all_of(op->getResultTypes(), [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.hasStaticShape();
  });
}

struct GroupRestPass : impl::GroupRestPassBase<GroupRestPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    for (Operation &op : llvm::make_early_inc_range(getOperation().getBody().front())) {
      if (isa<lm::GroupOp, lm::ReadOp>(op) || op.hasTrait<OpTrait::IsTerminator>() || isOfTraining(&op))
        continue;
      lm::GroupKind kind = lm::GroupKind::rows;
      if (isa<lm::LinearOp, lm::LinearBackwardInputOp>(op))
        kind = lm::GroupKind::matmul;
      else if (isa<lm::CachedAttentionOp>(op))
        kind = lm::GroupKind::attention;
      else if (isa<lm::EmbeddingOp, lm::SinusoidsOp>(op))
        kind = lm::GroupKind::gather;
      else if (isa<lm::RouteOp, lm::ExpertLinearOp, lm::RouteBackwardOp, lm::ExpertLinearBackwardInputOp,
                   lm::CombineBackwardInputOp, lm::CombineBackwardWeightsOp>(op))
        kind = lm::GroupKind::experts;
      wrapInGroup(rewriter, &op, kind);
    }
  }
};

} // namespace
} // namespace sinter
