// SPDX-License-Identifier: Apache-2.0
// --lm-fuse-append: keys and values go from the matmul that makes them straight into the cache.
//
//   %q, %k, %v = lm.group matmul { ... }          %q, %c = lm.group matmul { ...
//   %c = lm.append %cache, %k, %v          ->       %c = lm.append %cache, %k, %v
//                                                   lm.yield %q, %c }
#include "passes/Passes.h"
#include "passes/fusion/Grouping.h"

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_FUSEAPPENDPASS
#include "passes/Passes.h.inc"

namespace {

struct FuseAppendPass : impl::FuseAppendPassBase<FuseAppendPass> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    for (auto append : llvm::make_early_inc_range(getOperation().getOps<lm::AppendOp>())) {
      lm::GroupOp group = definingGroup(append.getKey());
      if (group && group == definingGroup(append.getValue()) && group.getKind() == lm::GroupKind::matmul &&
          fitsEpilogue(group, append) && canAbsorb(group, append))
        absorb(rewriter, group, append);
    }
  }
};

} // namespace
} // namespace sinter
