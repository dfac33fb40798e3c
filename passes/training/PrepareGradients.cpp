// SPDX-License-Identifier: Apache-2.0
// --kernel-prepare-gradients: the backward pass of attention with rounded factors becomes two launches.
//
//   kernel.launch @backward(%g, ...)  ->  kernel.launch @backward_queries(%g, ..., %r, %d)   {prepares}
//                                         kernel.launch @backward(%g, ..., %r, %d)
//
// The first one writes the gradients by queries, and what it has of each row besides: %r, the gradient as
// bf16, and %d (rows, heads), the sum over gradient * output. The second one reads these for each block of
// keys, and the output no more. No number changes. For GPUs; processors leave all to the second launch.
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_PREPAREGRADIENTSPASS
#include "passes/Passes.h.inc"

namespace {

/// Heads that GPUs take with rounded factors are no longer than that.
constexpr int64_t longestRounded = 256;

struct PrepareGradientsPass : impl::PrepareGradientsPassBase<PrepareGradientsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (auto function : llvm::to_vector(getOperation().getOps<kernel::FuncOp>())) {
      auto attention = dyn_cast<kernel::SelfAttentionBackwardOp>(function.getAnchor().getOperation());
      if (attention && isPrepared(attention))
        prepare(symbols, function, attention);
    }
  }

  static bool isPrepared(kernel::SelfAttentionBackwardOp attention) {
    int64_t heads = attention.getHeads();
    return attention->hasAttr("kernel.bf16") && !attention.getDots() &&
           attention.getQuery().getType().getColumns() <= longestRounded * heads &&
           attention.getOutput().getType().getColumns() <= longestRounded * heads;
  }

  void prepare(SymbolTable &symbols, kernel::FuncOp function, kernel::SelfAttentionBackwardOp attention) {
    OpBuilder builder(&getContext());
    Location loc = attention.getLoc();
    kernel::RowsType gradient = attention.getGradient().getType();
    auto rounded = kernel::RowsType::get(&getContext(), gradient.getColumns(), builder.getBF16Type(),
                                         gradient.getPerRow());
    auto dots = kernel::RowsType::get(&getContext(), attention.getHeads(), builder.getF32Type(),
                                      gradient.getPerRow());
    auto uses = SymbolTable::getSymbolUses(function, getOperation());
    assert(uses && "all names of kernels are known");
    SmallVector<kernel::LaunchOp> launches;
    for (SymbolTable::SymbolUse use : *uses)
      launches.push_back(cast<kernel::LaunchOp>(use.getUser()));
    unsigned gradientAt = cast<BlockArgument>(attention.getGradient()).getArgNumber();

    Block &body = function->getRegion(0).front();
    attention.getRoundedGradientMutable().assign(body.addArgument(rounded, loc));
    attention.getDotsMutable().assign(body.addArgument(dots, loc));
    function.setFunctionType(builder.getFunctionType(body.getArgumentTypes(), {}));
    auto before = cast<kernel::FuncOp>(function->clone());
    before.setName((function.getName() + "_queries").str());
    cast<kernel::SelfAttentionBackwardOp>(before.getAnchor().getOperation()).setPrepares(true);
    auto first = FlatSymbolRefAttr::get(symbols.insert(before));

    for (kernel::LaunchOp launch : launches) {
      auto like = launch.getBuffers()[gradientAt].getDefiningOp<kernel::BufferOp>();
      builder.setInsertionPointAfter(like);
      for (kernel::RowsType type : {rounded, dots})
        launch.getBuffersMutable().append(kernel::BufferOp::create(builder, loc, type, kernel::Space::Arena,
                                                                   {}, IntegerAttr(), IntegerAttr(),
                                                                   like.getRowsAttr())
                                              .getResult());
      builder.setInsertionPoint(launch);
      cast<kernel::LaunchOp>(builder.clone(*launch)).setCalleeAttr(first);
    }
  }
};

} // namespace
} // namespace sinter
