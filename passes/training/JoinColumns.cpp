// SPDX-License-Identifier: Apache-2.0
// --lm-join-columns: the gradients of slices that cover a tensor, added up, are a concatenation.
//
//   %a = lm.pad_columns %q at 0
//   %b = lm.pad_columns %k at 8          ->     %t = lm.concat %q, %k, %v
//   %c = lm.pad_columns %v at 12
//   %s = lm.add %a, %b
//   %t = lm.add %s, %c
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_JOINCOLUMNSPASS
#include "passes/Passes.h.inc"

namespace {

/// The padded tensors that `value` is the sum of; false where something else is in it.
bool collect(Value value, SmallVectorImpl<lm::PadColumnsOp> &pads) {
  if (auto pad = value.getDefiningOp<lm::PadColumnsOp>()) {
    pads.push_back(pad);
    return true;
  }
  auto add = value.getDefiningOp<lm::AddOp>();
  return add && collect(add.getLhs(), pads) && collect(add.getRhs(), pads);
}

struct JoinColumnsPass : impl::JoinColumnsPassBase<JoinColumnsPass> {
  void runOnOperation() override {
    // The last addition of a sum comes last in the block.
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(getOperation().getBody().front()))) {
      auto add = dyn_cast<lm::AddOp>(op);
      SmallVector<lm::PadColumnsOp> pads;
      if (!add || !collect(add.getResult(), pads))
        continue;
      llvm::sort(pads, [](lm::PadColumnsOp a, lm::PadColumnsOp b) { return a.getOffset() < b.getOffset(); });
      int64_t covered = 0;
      SmallVector<Value> inputs;
      for (lm::PadColumnsOp pad : pads) {
        if (static_cast<int64_t>(pad.getOffset()) != covered)
          break;
        covered += lm::width(pad.getInput());
        inputs.push_back(pad.getInput());
      }
      if (inputs.size() != pads.size() || covered != lm::width(add.getResult()))
        continue;
      OpBuilder builder(add);
      Value whole = lm::ConcatOp::create(builder, add.getLoc(), add.getType(), inputs);
      add.getResult().replaceAllUsesWith(whole);
    }
  }
};

} // namespace
} // namespace sinter
