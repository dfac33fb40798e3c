// SPDX-License-Identifier: Apache-2.0
// --kernel-round-products: the products of matrices of a micro-step take their factors as bf16.
//
//   kernel.matmul left(%x) weights(%w) ...             ->   kernel.matmul ... attributes {kernel.bf16}
//   kernel.weight_gradient gradient(%g) input(%x) ...  ->   kernel.weight_gradient ... {kernel.bf16}
//
// and kernel.self_attention and its backward pass in the same way. Numbers change: activations, weights,
// probabilities and gradients are rounded to 8 bits where they are multiplied, each product to a relative
// 2^-8; sums, norms, the softmax, the loss and the parameters stay f32. The logits of routers are computed
// exactly, as a rounded one may choose another expert (Fedus et al. 2021, arXiv:2101.03961, section 2.4).
// It runs before updates have kernels: theirs stay exact.
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_ROUNDPRODUCTSPASS
#include "passes/Passes.h.inc"

namespace {

/// Matmuls that make what kernel.route reads.
llvm::SmallPtrSet<Operation *, 4> findRouters(ModuleOp module) {
  SymbolTable symbols(module);
  llvm::SmallPtrSet<Operation *, 4> routers;
  auto anchorOf = [&](kernel::LaunchOp launch) {
    return symbols.lookup<kernel::FuncOp>(launch.getCallee()).getAnchor();
  };
  module.walk([&](kernel::LaunchOp launch) {
    auto route = dyn_cast<kernel::RouteOp>(anchorOf(launch).getOperation());
    if (!route)
      return;
    Value logits = launch.getBuffers()[cast<BlockArgument>(route.getLogits()).getArgNumber()];
    for (Operation *user : logits.getUsers())
      if (auto other = dyn_cast<kernel::LaunchOp>(user))
        if (Operation *anchor = anchorOf(other); isa<kernel::MatmulOp>(anchor))
          routers.insert(anchor);
  });
  return routers;
}

struct RoundProductsPass : impl::RoundProductsPassBase<RoundProductsPass> {
  void runOnOperation() override {
    llvm::SmallPtrSet<Operation *, 4> routers = findRouters(getOperation());
    for (auto function : getOperation().getOps<kernel::FuncOp>()) {
      Operation *anchor = function.getAnchor();
      if (isa<kernel::MatmulOp, kernel::WeightGradientOp, kernel::SelfAttentionOp,
              kernel::SelfAttentionBackwardOp>(anchor) &&
          !routers.contains(anchor))
        anchor->setAttr("kernel.bf16", UnitAttr::get(&getContext()));
    }
  }
};

} // namespace
} // namespace sinter
