// SPDX-License-Identifier: Apache-2.0
// --lm-add-loss: a function that gives logits gives the cross-entropy against further tokens instead.
//
//   func.func @forward(%tokens, %positions, %sequences) -> tensor<?x512xf32>
//   ->
//   func.func @train(%tokens, %positions, %sequences, %targets) -> tensor<f32> attributes {lm.form = "train"}
//
// With router-coefficient the balance loss of all routers is added.
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_ADDLOSSPASS
#include "passes/Passes.h.inc"

namespace {

struct AddLossPass : impl::AddLossPassBase<AddLossPass> {
  using Base::Base;

  void runOnOperation() override {
    auto function = getOperation().lookupSymbol<func::FuncOp>("forward");
    if (!function || function.isExternal()) {
      getOperation().emitError() << "expected a function forward with a body, found none";
      return signalPassFailure();
    }
    Block &body = function.getBody().front();
    auto exit = cast<func::ReturnOp>(body.getTerminator());
    auto logits =
        exit.getNumOperands() == 1 ? dyn_cast<RankedTensorType>(exit.getOperand(0).getType()) : nullptr;
    if (!logits || logits.getRank() != 2) {
      exit.emitOpError() << "expected logits, one tensor of two dimensions, found " << exit.getOperandTypes();
      return signalPassFailure();
    }
    OpBuilder builder(exit);
    auto ids = RankedTensorType::get({logits.getDimSize(0)}, builder.getI32Type());
    Value targets = body.addArgument(ids, function.getLoc());
    auto scalar = RankedTensorType::get({}, builder.getF32Type());
    Value loss = lm::CrossEntropyOp::create(builder, exit.getLoc(), scalar, exit.getOperand(0), targets);
    if (routerCoefficient > 0 && !(loss = addBalance(builder, function, loss)))
      return signalPassFailure();
    exit.getOperandsMutable().assign(loss);
    function.setFunctionType(builder.getFunctionType(body.getArgumentTypes(), {scalar}));
    function.setSymName("train");
    function->setAttr("lm.form", builder.getStringAttr("train"));
  }

  /// `loss` and the balance loss of the function's routers; null without one.
  Value addBalance(OpBuilder &builder, func::FuncOp function, Value loss) {
    SmallVector<Value> logits, chosen;
    for (auto route : function.getOps<lm::RouteOp>()) {
      logits.push_back(route.getLogits());
      chosen.push_back(route.getChosen());
    }
    if (logits.empty()) {
      function.emitError("expected a mixture of experts for a balance loss, found no lm.route");
      return {};
    }
    auto type = RankedTensorType::get({2 * lm::width(logits[0])}, builder.getF32Type());
    Value votes = lm::RouterVotesOp::create(builder, loss.getLoc(), type, logits, chosen);
    return lm::BalanceLossOp::create(builder, loss.getLoc(), loss.getType(), loss, votes, logits,
                                     builder.getF64FloatAttr(routerCoefficient));
  }
};

} // namespace
} // namespace sinter
