// SPDX-License-Identifier: Apache-2.0
// --lm-add-loss: a function that gives logits gives the cross-entropy against further tokens instead.
//
//   func.func @forward(%tokens, %positions, %sequences) -> tensor<?x512xf32>
//   ->
//   func.func @train(%tokens, %positions, %sequences, %targets) -> tensor<f32> attributes {lm.form = "train"}
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_ADDLOSSPASS
#include "passes/Passes.h.inc"

namespace {

struct AddLossPass : impl::AddLossPassBase<AddLossPass> {
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
    exit.getOperandsMutable().assign(loss);
    function.setFunctionType(builder.getFunctionType(body.getArgumentTypes(), {scalar}));
    function.setSymName("train");
    function->setAttr("lm.form", builder.getStringAttr("train"));
  }
};

} // namespace
} // namespace sinter
