// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/training/SequenceTiles.h"

#include "passes/lowering/gpu/training/TensorSelfAttention.h"

using namespace mlir;

namespace sinter::gpu {

/// Multiprocessors of an H100.
constexpr int64_t multiprocessors = 132;

/// `columns`: tiles of one sequence, but for its rows. Without `mostRows` large tiles are left to who knows.
template <typename OpT> static void cut(OpT op, int64_t columns, std::optional<int64_t> mostRows) {
  int64_t sequence = op.getSequence(), rows = 64;
  if (op.getScheduleAttr() || sequence % rows)
    return;
  if (mostRows && sequence % 128 == 0 && fitsTensorSelfAttention(op) &&
      llvm::divideCeil(*mostRows, 128) * columns >= multiprocessors)
    rows = 128;
  op.setScheduleAttr(kernel::ScheduleAttr::get(op.getContext(), rows, 0, 0, 0, 0, 0, 0, 0));
}

void cutSequences(ModuleOp module) {
  for (auto function : module.getOps<kernel::FuncOp>()) {
    Operation *anchor = function.getAnchor();
    std::optional<int64_t> mostRows;
    if (auto attribute = function->getAttrOfType<IntegerAttr>("kernel.most_rows"))
      mostRows = attribute.getInt();
    if (auto attention = dyn_cast<kernel::SelfAttentionOp>(anchor))
      cut(attention, attention.getHeads(), mostRows);
    auto backward = dyn_cast<kernel::SelfAttentionBackwardOp>(anchor);
    if (backward && fitsTensorSelfAttention(backward))
      cut(backward, (backward.getDots() ? 1 : 2) * static_cast<int64_t>(backward.getKvHeads()), mostRows);
  }
}

} // namespace sinter::gpu
