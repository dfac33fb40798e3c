// SPDX-License-Identifier: Apache-2.0
// --lm-repeat-activations: what a norm, an activation or a product of rows makes of rows that the backward
// pass reads anyway is made again there, not kept.
//
//   %n = lm.rms_norm %x, %w                            %n = lm.rms_norm %x, %w
//   %y = lm.linear %n, %v                              %y = lm.linear %n, %v
//   ...                                                ...
//   %dn = lm.linear_backward_input %dy, %v      ->     %dn = lm.linear_backward_input %dy, %v
//   %dv = lm.linear_backward_weight %dy, %n            %again = lm.rms_norm %x, %w
//   %dx = lm.rms_norm_backward_input %dn, %x, %w       %dx = lm.rms_norm_backward_input %dn, %x, %w
//                                                      %dv = lm.linear_backward_weight %dy, %again
//
// It is repeated where the same rows are read, so that --lm-fuse-rows makes both in one pass over them; the
// gradients of weights that read it follow. Every operation is repeated as it was, so that no bit changes.
// What is an operand of the head's matmul is kept: its gradient is computed at once, in chunks.
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_REPEATACTIVATIONSPASS
#include "passes/Passes.h.inc"

namespace {

/// Whether an operation is a program on each row.
bool isProgram(Operation *op) {
  return op->hasTrait<OpTrait::Elementwise>() ||
         isa<lm::RmsNormOp, lm::LayerNormOp, lm::RmsNormBackwardInputOp, lm::LayerNormBackwardInputOp>(op);
}

bool isParameter(Value value) { return cast<RankedTensorType>(value.getType()).hasStaticShape(); }

class RepeatActivations {
public:
  RepeatActivations(Block &body, Operation *turn) : body(body), turn(turn) {}

  void run() {
    for (Operation &op : body) {
      if (&op == turn)
        return;
      if (isActivation(&op) || isa<lm::RmsNormOp, lm::LayerNormOp, lm::MulOp>(op))
        repeat(&op);
    }
  }

private:
  bool isBackward(Operation *op) { return turn->isBeforeInBlock(op); }

  SmallVector<Operation *> backwardUsers(Value value) {
    SmallVector<Operation *> users;
    for (Operation *user : llvm::SetVector<Operation *>(value.user_begin(), value.user_end()))
      if (isBackward(user))
        users.push_back(user);
    return users;
  }

  /// Where programs on rows of the backward pass read `value`.
  void findPrograms(Value value, SmallVectorImpl<Operation *> &programs) {
    for (Operation *user : backwardUsers(value))
      if (isProgram(user))
        programs.push_back(user);
  }

  void repeat(Operation *op) {
    SmallVector<Operation *> users = backwardUsers(op->getResult(0)), programs, gradients;
    if (users.empty())
      return;
    for (Value operand : op->getOperands()) {
      if (isParameter(operand))
        continue;
      Operation *maker = operand.getDefiningOp();
      const bool isRepeated = maker && repeated.contains(maker);
      // Of what is itself made again only activations are: else residual sums would lead from layer to layer.
      if (isRepeated ? !isActivation(maker) : backwardUsers(operand).empty())
        return;
      findPrograms(isRepeated ? repeated[maker]->getResult(0) : operand, programs);
    }
    if (programs.empty())
      return;
    for (Operation *user : users) {
      if (isa<lm::LinearBackwardWeightOp>(user) &&
          lm::width(user->getOperand(0)) != lm::width(turn->getResult(0)))
        gradients.push_back(user);
      else if (isProgram(user))
        programs.push_back(user);
      else
        return;
    }
    auto isBefore = [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); };
    Operation *first = *llvm::min_element(programs, isBefore), *last = *llvm::max_element(programs, isBefore);
    // All that follows on rows can be one pass; gradients of weights, of its results too, stand behind it.
    Operation *end = last;
    while (isProgram(end->getNextNode()) ||
           isa<lm::ColumnSumOp, lm::LinearBackwardWeightOp>(end->getNextNode())) {
      end = end->getNextNode();
      last = isProgram(end) ? end : last;
    }
    for (Operation *gradient : gradients)
      for (Operation *user : gradient->getUsers())
        if (!end->isBeforeInBlock(user))
          return;
    OpBuilder builder(first);
    IRMapping operands;
    for (Value operand : op->getOperands())
      if (Operation *maker = repeated.lookup(operand.getDefiningOp())) {
        if (!maker->isBeforeInBlock(first)) // reads what is kept: can be made earlier
          maker->moveBefore(first);
        operands.map(operand, maker->getResult(0));
      }
    // Where no program reads it, at the end of the pass that it becomes a part of.
    if (operands.getValueMap().empty() && gradients.size() == users.size())
      builder.setInsertionPointAfter(last);
    Operation *again = builder.clone(*op, operands);
    repeated[op] = again;
    op->getResult(0).replaceUsesWithIf(
        again->getResult(0), [&](OpOperand &use) { return llvm::is_contained(users, use.getOwner()); });
    if (end->isBeforeInBlock(again))
      end = again;
    llvm::sort(gradients, isBefore);
    for (Operation *gradient : llvm::reverse(gradients))
      if (gradient->isBeforeInBlock(end))
        gradient->moveAfter(end);
  }

  Block &body;
  Operation *turn; // with which the backward pass begins
  llvm::DenseMap<Operation *, Operation *> repeated;
};

struct RepeatActivationsPass : impl::RepeatActivationsPassBase<RepeatActivationsPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    Block &body = function.getBody().front();
    auto turns = body.getOps<lm::CrossEntropyBackwardOp>();
    if (!turns.empty())
      RepeatActivations(body, *turns.begin()).run();
  }
};

} // namespace
} // namespace sinter
