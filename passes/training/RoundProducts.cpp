// SPDX-License-Identifier: Apache-2.0
// --kernel-round-products: the products of matrices of a micro-step take their factors as bf16.
//
//   kernel.matmul left(%x) weights(%w) ...             ->   kernel.matmul ... attributes {kernel.bf16}
//   kernel.weight_gradient gradient(%g) input(%x) ...  ->   kernel.weight_gradient ... {kernel.bf16}
//
// Numbers change: activations, weights and gradients are rounded to 8 bits where they are multiplied, each
// product to a relative 2^-8; sums, norms, attention, the loss and the parameters stay f32. It runs before
// updates have kernels: theirs stay exact.
#include "passes/Passes.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_ROUNDPRODUCTSPASS
#include "passes/Passes.h.inc"

namespace {

struct RoundProductsPass : impl::RoundProductsPassBase<RoundProductsPass> {
  void runOnOperation() override {
    for (auto function : getOperation().getOps<kernel::FuncOp>()) {
      Operation *anchor = function.getAnchor();
      if (isa<kernel::MatmulOp, kernel::WeightGradientOp>(anchor))
        anchor->setAttr("kernel.bf16", UnitAttr::get(&getContext()));
    }
  }
};

} // namespace
} // namespace sinter
