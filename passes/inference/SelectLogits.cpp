// SPDX-License-Identifier: Apache-2.0
// --lm-select-logits: only the rows whose logits are wanted go through the last layers.
//
//   %n = lm.rms_norm %x, %w               %s = lm.select_rows %x, %rows
//   %y = lm.linear %n, %head        ->    %n = lm.rms_norm %s, %w
//   %s = lm.select_rows %y, %rows         %y = lm.linear %n, %head
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_SELECTLOGITSPASS
#include "passes/Passes.h.inc"

namespace {

struct MoveSelectionUp : OpRewritePattern<lm::SelectRowsOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(lm::SelectRowsOp select, PatternRewriter &rewriter) const override {
    Operation *producer = select.getInput().getDefiningOp();
    if (!producer || !(isRowwise(producer) || isa<lm::LinearOp>(producer)) || isa<lm::RopeOp>(producer))
      return rewriter.notifyMatchFailure(select,
                                         "expected an operation that treats each row alike before it");
    if (!producer->getResult(0).hasOneUse())
      return rewriter.notifyMatchFailure(select,
                                         "expected no other use of the rows: they would be computed twice");
    if (isa<lm::AddOp, lm::MulOp>(producer) && producer->getOperand(0).getDefiningOp() &&
        !isa<lm::LinearOp, lm::ScaleOp, lm::SoftcapOp>(producer->getOperand(0).getDefiningOp()))
      return rewriter.notifyMatchFailure(select, "expected to stop at the last residual");

    rewriter.setInsertionPoint(producer);
    auto rowsType = cast<RankedTensorType>(select.getRows().getType());
    IRMapping mapping;
    for (Value operand : producer->getOperands()) {
      auto type = dyn_cast<RankedTensorType>(operand.getType());
      bool hasRows = type && type.getRank() == 2 && type.isDynamicDim(0) && !mapping.contains(operand);
      if (hasRows) {
        auto selected =
            RankedTensorType::get({rowsType.getDimSize(0), type.getDimSize(1)}, type.getElementType());
        mapping.map(operand,
                    lm::SelectRowsOp::create(rewriter, select.getLoc(), selected, operand, select.getRows()));
      }
    }
    Operation *moved = rewriter.clone(*producer, mapping);
    rewriter.replaceOp(select, moved->getResults());
    rewriter.eraseOp(producer);
    return success();
  }
};

struct SelectLogitsPass : impl::SelectLogitsPassBase<SelectLogitsPass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<MoveSelectionUp>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
} // namespace sinter
