// SPDX-License-Identifier: Apache-2.0
// --lm-use-cache: a graph over whole sequences becomes one over the newest tokens.
//
//   func.func @forward(%t, %p, %s) -> logits       func.func @forward(%t, %p, %s, %selected, %cache)
//     lm.attention %q, %k, %v, %p, %s         ->     %c = lm.append %cache, %k, %v, %p, %s {layer = 0}
//     return %logits                                 lm.cached_attention %q, %c, %p, %s {layer = 0}
//                                                    return lm.select_rows %logits, %selected; %c
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_USECACHEPASS
#include "passes/Passes.h.inc"

namespace {

struct UseCachePass : impl::UseCachePassBase<UseCachePass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.getNumArguments() != 3 || function.getNumResults() != 1) {
      function.emitError("expected tokens, positions and sequences as arguments and logits as result");
      return signalPassFailure();
    }
    Location loc = function.getLoc();
    Block &body = function.getBody().front();
    auto cacheType = lm::CacheType::get(&getContext());
    Value selected = body.addArgument(function.getArgument(0).getType(), loc);
    Value cache = body.addArgument(cacheType, loc);

    int64_t layer = 0;
    IRRewriter rewriter(&getContext());
    for (auto attention : llvm::make_early_inc_range(function.getOps<lm::AttentionOp>())) {
      if (attention.getLogSumExp()) {
        attention.emitOpError("expected no log_sum_exp where a cache is used");
        return signalPassFailure();
      }
      rewriter.setInsertionPoint(attention);
      cache = lm::AppendOp::create(rewriter, attention.getLoc(), cacheType, cache, attention.getKey(),
                                   attention.getValue(), attention.getPositions(), attention.getSequences(),
                                   layer, attention.getKvHeads());
      auto cached = lm::CachedAttentionOp::create(
          rewriter, attention.getLoc(), attention.getResult().getType(), attention.getQuery(), cache,
          attention.getPositions(), attention.getSequences(), rewriter.getI64IntegerAttr(layer),
          attention.getHeadsAttr(), attention.getKvHeadsAttr(), attention.getScaleAttr(),
          attention.getWindowAttr(), attention.getSoftcapAttr(), attention.getAlibiAttr());
      rewriter.replaceAllUsesWith(attention.getResult(), cached.getResult());
      rewriter.eraseOp(attention);
      ++layer;
    }

    Operation *exit = body.getTerminator();
    rewriter.setInsertionPoint(exit);
    Value logits = exit->getOperand(0);
    Value chosen = lm::SelectRowsOp::create(rewriter, loc, logits.getType(), logits, selected);
    rewriter.replaceOpWithNewOp<func::ReturnOp>(exit, ValueRange{chosen, cache});
    function.setFunctionType(
        rewriter.getFunctionType(body.getArgumentTypes(), {chosen.getType(), cacheType}));
  }
};

} // namespace
} // namespace sinter
