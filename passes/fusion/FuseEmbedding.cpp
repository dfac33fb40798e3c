// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-embedding: what follows an embedding lookup row by row (Gemma's scale, learned positions, BLOOM's
// norm) is done as the row is read.
//
//   %e = lm.embedding %tokens, %table          %x = lm.group gather {
//   %x = lm.scale %e {factor = 25.3}     ->      %e = lm.embedding %tokens, %table
//                                                %x = lm.scale %e {factor = 25.3}
//                                                lm.yield %x }
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_FUSEEMBEDDINGPASS
#include "passes/Passes.h.inc"

namespace {

struct FuseEmbeddingPass : impl::FuseEmbeddingPassBase<FuseEmbeddingPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<Operation *> lookups;
    for (Operation &op : getOperation().getBody().front())
      if (isa<lm::EmbeddingOp, lm::SinusoidsOp>(op))
        lookups.push_back(&op);
    for (Operation *lookup : lookups) {
      if (!isa<func::FuncOp>(lookup->getParentOp()))
        continue; // an earlier lookup's group took it
      lm::GroupOp group = wrapInGroup(rewriter, lookup, lm::GroupKind::gather);
      while (Operation *user = onlyUser(group)) {
        if (!isOnWholeRows(user) || !canAbsorb(group, user))
          break;
        // A second lookup (positions) that only this user reads comes along.
        for (Value operand : user->getOperands())
          if (auto other = operand.getDefiningOp<lm::EmbeddingOp>(); other && canAbsorb(group, other))
            group = absorb(rewriter, group, other);
        group = absorb(rewriter, group, user);
      }
    }
  }

  /// The one operation that uses the group, or null.
  static Operation *onlyUser(lm::GroupOp group) {
    Operation *only = nullptr;
    for (Operation *user : group->getUsers()) {
      if (only && user != only)
        return nullptr;
      only = user;
    }
    return only;
  }
};

} // namespace
} // namespace sinter
