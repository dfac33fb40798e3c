// SPDX-License-Identifier: Apache-2.0
// --kernel-narrow-factors: rows that only products with rounded factors read are kept as bf16.
//
//   kernel.launch @gated(%g, %u, %h)          %h: rows<1536xf32>           rows<1536xbf16>
//   kernel.launch @down(%h, %w, %y)           {kernel.bf16}
//   kernel.launch @down_gradient(%dy, %h, %dw) {kernel.bf16}
//
// They take half the memory from the forward to the backward pass. Numbers are rounded once, as they are
// written, instead of by each product that reads them: no bit changes, but where a processor's attention
// would have left its queries, keys and values as they are. After --kernel-round-products, which marks the
// products.
#include "passes/Passes.h"
#include "passes/kernels/RetypeKernels.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_NARROWFACTORSPASS
#include "passes/Passes.h.inc"

namespace {

/// Whether a kernel reads its argument as a rounded factor.
bool isFactor(OpOperand &use) {
  Operation *op = use.getOwner();
  if (!op->hasAttr("kernel.bf16"))
    return false;
  if (auto matmul = dyn_cast<kernel::MatmulOp>(op))
    return matmul.getLeft() == use.get();
  auto isInput = [&](auto attention) {
    return llvm::is_contained({attention.getQuery(), attention.getKey(), attention.getValue()}, use.get());
  };
  if (auto attention = dyn_cast<kernel::SelfAttentionOp>(op))
    return isInput(attention);
  if (auto attention = dyn_cast<kernel::SelfAttentionBackwardOp>(op))
    return isInput(attention);
  auto gradient = dyn_cast<kernel::WeightGradientOp>(op);
  return gradient && gradient.getOutput() != use.get();
}

struct NarrowFactorsPass : impl::NarrowFactorsPassBase<NarrowFactorsPass> {
  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    Type bf16 = BFloat16Type::get(&getContext());
    for (auto entry : getOperation().getOps<kernel::EntryOp>())
      for (auto buffer : entry.getOps<kernel::BufferOp>())
        if (auto type = dyn_cast<kernel::RowsType>(buffer.getType());
            type && type.getElement().isF32() && canNarrow(symbols, buffer))
          buffer.getResult().setType(
              kernel::RowsType::get(&getContext(), type.getColumns(), bf16, type.getPerRow()));
    retypeKernels(getOperation(), symbols);
  }

  /// Whether all that is done with a buffer is that programs write it and products read it.
  static bool canNarrow(SymbolTable &symbols, kernel::BufferOp buffer) {
    if (buffer.getSpace() != kernel::Space::Arena || buffer->hasAttr("argument") || buffer->hasAttr("result"))
      return false;
    bool isRead = false;
    for (OpOperand &use : buffer->getUses()) {
      auto launch = cast<kernel::LaunchOp>(use.getOwner());
      auto function = symbols.lookup<kernel::FuncOp>(launch.getCallee());
      for (OpOperand &inner : function.getArgument(use.getOperandNumber()).getUses()) {
        if (!isFactor(inner) && !isa<kernel::StoreOp>(inner.getOwner()))
          return false;
        isRead |= isFactor(inner);
      }
    }
    return isRead;
  }
};

} // namespace
} // namespace sinter
