// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/WideTiles.h"

#include "passes/lowering/gpu/Attention.h"
#include "passes/lowering/gpu/MatmulTensor.h"

using namespace mlir;

namespace sinter::gpu {

/// Accumulators along each side (of all weights, where both sides have 16 bits), and the fewest tiles of
/// columns that are worth it: with the 4 tiles of rows of a prefill step 64 blocks.
constexpr int64_t widest = 128, fewest = 16;

static int64_t longestHead(kernel::AttentionOp op) {
  return std::max(op.getKeys().getType().getSize(), op.getValues().getType().getSize());
}

void widenTiles(ModuleOp module, Architecture architecture) {
  for (auto function : module.getOps<kernel::FuncOp>()) {
    Operation *anchor = function.getAnchor();
    if (auto attention = dyn_cast<kernel::AttentionOp>(anchor);
        attention && attention.getForm() == kernel::Form::Prefill && fitsTensorAttention(attention) &&
        (architecture == Architecture::Sm90 || longestHead(attention) <= 128))
      attention.setScheduleAttr(kernel::ScheduleAttr::get(attention.getContext(), /*rowsPerTile=*/128, 0, 0,
                                                          0, 0, attention.getScheduleAttr().getStreams(), 0,
                                                          0));
    auto op = dyn_cast<kernel::MatmulOp>(anchor);
    // An expert has a part of the rows.
    if (!op || !fitsTensorCores(op) || op.getExperts() || op.getOutputs() < widest * fewest)
      continue;
    Type left = op.getLeft().getType().getElement();
    // On sm_90a bf16 goes by the weights' registers: two warpgroups take 64 columns of each weight.
    bool isHalf = left.isF16() || (architecture == Architecture::Sm80 && left.isBF16());
    if (architecture == Architecture::Sm80 && !isHalf)
      continue;
    int64_t columns = op.getScheduleAttr().getColumnsPerTile(), weights = op.getWeights().size();
    int64_t rows = isHalf ? widest : widest / weights, wide = isHalf ? widest / weights : widest;
    // There are registers for 256 columns. On sm_80, where blocks share nothing, that is worth half of the
    // blocks: the rows are read half as often.
    if (isHalf && (architecture == Architecture::Sm80 || op.getOutputs() * weights >= 2 * widest * fewest))
      wide *= 2;
    columns *= std::max<int64_t>(1, wide / columns);
    op.setScheduleAttr(kernel::ScheduleAttr::get(op.getContext(), rows, columns, /*keysPerTile=*/0,
                                                 /*tileRows=*/0, /*tileColumns=*/0, /*streams=*/0,
                                                 /*prefetch=*/0, /*keyBlock=*/0));
  }
}

} // namespace sinter::gpu
