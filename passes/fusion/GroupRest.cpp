// SPDX-License-Identifier: Apache-2.0
// --lm-group-rest: every operation that no fusion took becomes a group of its own, so that from here on a function
// is a list of groups (and reads of parameters).
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_GROUPRESTPASS
#include "passes/Passes.h.inc"

namespace {

struct GroupRestPass : impl::GroupRestPassBase<GroupRestPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    for (Operation &op : llvm::make_early_inc_range(getOperation().getBody().front())) {
      if (isa<lm::GroupOp, lm::ReadOp>(op) || op.hasTrait<OpTrait::IsTerminator>())
        continue;
      lm::GroupKind kind = lm::GroupKind::rows;
      if (isa<lm::LinearOp>(op))
        kind = lm::GroupKind::matmul;
      else if (isa<lm::CachedAttentionOp, lm::AttentionOp>(op))
        kind = lm::GroupKind::attention;
      else if (isa<lm::EmbeddingOp, lm::SinusoidsOp>(op))
        kind = lm::GroupKind::gather;
      else if (isa<lm::RouteOp, lm::ExpertLinearOp>(op))
        kind = lm::GroupKind::experts;
      wrapInGroup(rewriter, &op, kind);
    }
  }
};

} // namespace
} // namespace sinter
