// SPDX-License-Identifier: Apache-2.0
// --lm-repeat-activations: what a group of rows can make by one elementwise operation of rows that it reads
// anyway, it makes again, and the group that made it first does not write it.
//
//   %s, %h = lm.group rows {                    %h = lm.group rows {
//     %s = lm.silu %g                             %s = lm.silu %g
//     %h = lm.mul %s, %u                          %h = lm.mul %s, %u
//     lm.yield %s, %h }                           lm.yield %h }
//   ...                                   ->    ...
//   %du, %dg = lm.group rows {                  %du, %dg = lm.group rows {
//     %du = lm.mul %dh, %s                        %again = lm.silu %g
//     %ds = lm.mul %dh, %u                        %du = lm.mul %dh, %again
//     %dg = lm.silu_backward %ds, %g              ...
//
// The operation is repeated as it was, so that no bit changes.
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_REPEATACTIVATIONSPASS
#include "passes/Passes.h.inc"

namespace {

bool isRows(Operation *op) {
  auto group = dyn_cast_or_null<lm::GroupOp>(op);
  return group && group.getKind() == lm::GroupKind::rows;
}

/// The groups of rows that use `value`; none if something else does or one of them cannot repeat `op`, of
/// which it is the result, from what it reads.
SmallVector<lm::GroupOp> findReaders(Value value, Operation *op) {
  llvm::SetVector<Operation *> readers;
  for (Operation *user : value.getUsers()) {
    Operation *reader = user->getParentOp();
    auto reads = [&](Value operand) {
      return llvm::any_of(operand.getUsers(),
                          [&](Operation *other) { return other->getParentOp() == reader; });
    };
    if (!isRows(reader) || !llvm::all_of(op->getOperands(), reads))
      return {};
    readers.insert(reader);
  }
  return llvm::map_to_vector(readers, [](Operation *reader) { return cast<lm::GroupOp>(reader); });
}

struct RepeatActivationsPass : impl::RepeatActivationsPassBase<RepeatActivationsPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    for (auto group : llvm::to_vector(getOperation().getBody().front().getOps<lm::GroupOp>())) {
      if (!isRows(group))
        continue;
      bool changed = false;
      Operation *yield = group.getBody().front().getTerminator();
      for (OpResult result : group->getResults())
        changed |=
            repeat(rewriter, group, result, yield->getOperand(result.getResultNumber()).getDefiningOp());
      if (changed)
        rebuildResults(rewriter, group);
    }
  }

  /// Makes `result`, of `op` in `group`, again in all groups that read it; false if that cannot be.
  static bool repeat(RewriterBase &rewriter, lm::GroupOp group, Value result, Operation *op) {
    bool isOfRows = op && op->getParentOp() == group && op->hasTrait<OpTrait::Elementwise>() &&
                    llvm::none_of(op->getOperands(),
                                  [&](Value operand) { return operand.getParentBlock() == op->getBlock(); });
    if (!isOfRows)
      return false;
    SmallVector<lm::GroupOp> readers = findReaders(result, op);
    for (lm::GroupOp reader : readers) {
      rewriter.setInsertionPointToStart(&reader.getBody().front());
      Operation *again = rewriter.clone(*op);
      rewriter.replaceUsesWithIf(result, again->getResult(0),
                                 [&](OpOperand &use) { return reader->isAncestor(use.getOwner()); });
    }
    return !readers.empty();
  }
};

} // namespace
} // namespace sinter
