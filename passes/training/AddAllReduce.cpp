// SPDX-License-Identifier: Apache-2.0
// --lm-add-all-reduce: the gradients that a differentiated function returns become their sums over all ranks,
// which train on different sequences.
//
//   return %loss, %dw          ->     %s = lm.all_reduce %dw {ranks = 1 : i64}
//                                     return %loss, %s
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_ADDALLREDUCEPASS
#include "passes/Passes.h.inc"

namespace {

struct AddAllReducePass : impl::AddAllReducePassBase<AddAllReducePass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    Operation *exit = function.getBody().front().getTerminator();
    OpBuilder builder(exit);
    for (OpOperand &operand : exit->getOpOperands())
      if (function.getResultAttr(operand.getOperandNumber(), "lm.gradient"))
        operand.set(
            lm::AllReduceOp::create(builder, exit->getLoc(), operand.get().getType(), operand.get(), ranks));
  }
};

} // namespace
} // namespace sinter
