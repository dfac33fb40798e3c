// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/training/SequenceTiles.h"

#include "passes/lowering/gpu/training/TensorSelfAttention.h"

using namespace mlir;

namespace sinter::gpu {

/// Rows of a tile; multiprocessors of an H100.
constexpr int64_t sequenceRows = 64, multiprocessors = 132;

template <typename OpT> static void cut(OpT op) {
  if (static_cast<int64_t>(op.getSequence()) % sequenceRows == 0)
    op.setScheduleAttr(kernel::ScheduleAttr::get(op.getContext(), sequenceRows, 0, 0, 0, 0, 0, 0, 0));
}

void cutSequences(ModuleOp module) {
  for (auto function : module.getOps<kernel::FuncOp>()) {
    Operation *anchor = function.getAnchor();
    if (auto attention = dyn_cast<kernel::SelfAttentionOp>(anchor))
      cut(attention);
    auto backward = dyn_cast<kernel::SelfAttentionBackwardOp>(anchor);
    auto mostRows = function->getAttrOfType<IntegerAttr>("kernel.most_rows");
    if (!backward || !mostRows || !fitsTensorSelfAttention(backward))
      continue;
    int64_t sequences = llvm::divideCeil(mostRows.getInt(), static_cast<int64_t>(backward.getSequence()));
    if (sequences * static_cast<int64_t>(backward.getKvHeads()) < multiprocessors)
      cut(backward);
  }
}

} // namespace sinter::gpu
