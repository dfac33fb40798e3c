// SPDX-License-Identifier: Apache-2.0
// --lm-split-norm-gradients: the gradient of a norm's weight becomes a sum over columns of what a program on
// rows makes, so that it shares that program with the gradient of the norm's input.
//
//   %dw = lm.rms_norm_backward_weight %dy, %x     ->   %n = lm.rms_norm %x      (no weight)
//                                                      %p = lm.mul %dy, %n
//                                                      %dw = lm.column_sum %p
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_SPLITNORMGRADIENTSPASS
#include "passes/Passes.h.inc"

namespace {

struct SplitNormGradientsPass : impl::SplitNormGradientsPassBase<SplitNormGradientsPass> {
  void runOnOperation() override {
    for (Operation &op : llvm::make_early_inc_range(getOperation().getBody().front())) {
      OpBuilder builder(&op);
      Value normalised;
      if (auto rms = dyn_cast<lm::RmsNormBackwardWeightOp>(op))
        normalised =
            lm::RmsNormOp::create(builder, op.getLoc(), rms.getInput().getType(), rms.getInput(), Value(),
                                  rms.getEpsilonAttr(), builder.getF64FloatAttr(0), rms.getGroupAttr());
      else if (auto layer = dyn_cast<lm::LayerNormBackwardWeightOp>(op))
        normalised =
            lm::LayerNormOp::create(builder, op.getLoc(), layer.getInput().getType(), layer.getInput(),
                                    Value(), Value(), layer.getEpsilonAttr(), layer.getGroupAttr());
      else
        continue;
      Value gradient = op.getOperand(0);
      Value product = lm::MulOp::create(builder, op.getLoc(), gradient, normalised);
      Value sum = lm::ColumnSumOp::create(builder, op.getLoc(), op.getResult(0).getType(), product);
      op.getResult(0).replaceAllUsesWith(sum);
      op.erase();
    }
  }
};

} // namespace
} // namespace sinter
