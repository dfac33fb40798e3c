// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/matmul/WideTiles.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/gpu/Fp8.h"
#include "passes/lowering/gpu/attention/Attention.h"
#include "passes/lowering/gpu/matmul/MatmulFloat.h"
#include "passes/lowering/gpu/matmul/MatmulTensor.h"
#include "passes/lowering/gpu/matmul/SplitK.h"

using namespace mlir;

namespace sinter::gpu {

/// Accumulators along each side (of all weights, where both sides have 16 bits), and the fewest tiles of
/// columns that are worth it: with the 4 tiles of rows of a prefill step 64 blocks.
constexpr int64_t widest = 128, fewest = 16;

static int64_t longestHead(kernel::AttentionOp op) {
  return std::max(op.getKeys().getType().getSize(), op.getValues().getType().getSize());
}

/// Tiles of training's products whose factors are rounded.
static void widenRounded(Operation *anchor) {
  if (!roundsFactors(anchor))
    return;
  auto scheduleOf = [&](int64_t rows, int64_t columns, int64_t tileColumns) {
    return kernel::ScheduleAttr::get(anchor->getContext(), rows, columns, 0, 0, tileColumns, 0, 0, 0);
  };
  // As many tiles as an H100 has multiprocessors.
  constexpr int64_t fewestOfGradient = 132;
  if (auto gradient = dyn_cast<kernel::WeightGradientOp>(anchor)) {
    kernel::WeightType weight = gradient.getOutput().getType();
    if (weight.getRows() * weight.getColumns() >= fewestOfGradient * widest * widest)
      gradient.setScheduleAttr(scheduleOf(0, widest, widest));
    return;
  }
  auto op = cast<kernel::MatmulOp>(anchor);
  if (!fitsFloatTiles(op) || op.getExperts() || op.getOutputs() < widest * fewest)
    return;
  int64_t columns = op.getScheduleAttr().getColumnsPerTile();
  columns *= std::max<int64_t>(1, widest / columns);
  op.setScheduleAttr(scheduleOf(widest, columns, 0));
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
    if (isa<kernel::MatmulOp, kernel::WeightGradientOp>(anchor))
      widenRounded(anchor);
    auto op = dyn_cast<kernel::MatmulOp>(anchor);
    // An expert has a part of the rows.
    if (!op || !fitsTensorCores(op) || op.getExperts() || op.getOutputs() < widest * fewest)
      continue;
    Type left = op.getLeft().getType().getElement();
    int64_t columns = op.getScheduleAttr().getColumnsPerTile(), weights = op.getWeights().size();
    // On sm_90a weights of bf16 are in registers: a warpgroup takes 64 columns, by tensor maps or not.
    const bool hasBytes = isFp8(left) && op.getInputs() % 16 == 0;
    bool isHalf = left.isF16() || hasBytes ||
                  (left.isBF16() &&
                   (architecture == Architecture::Sm80 || (columns % 64 == 0 && op.getInputs() % 8 == 0)));
    if (architecture == Architecture::Sm80 && !isHalf)
      continue;
    int64_t rows = isHalf ? widest : widest / weights, wide = isHalf ? widest / weights : widest;
    // There are registers for 256 columns. On sm_80, where blocks share nothing, that is worth half of the
    // blocks: the rows are read half as often.
    // Of 8 bits on sm_90a, whose sums are kept twice unless fast_accumulation is asked for, there are not.
    bool isTwice = hasBytes && !op.getFastAccumulation();
    if (isHalf && (architecture == Architecture::Sm80 ||
                   (!isTwice && op.getOutputs() * weights >= 2 * widest * fewest)))
      wide *= 2;
    columns *= std::max<int64_t>(1, wide / columns);
    op.setScheduleAttr(kernel::ScheduleAttr::get(op.getContext(), rows, columns, /*keysPerTile=*/0,
                                                 /*tileRows=*/0, /*tileColumns=*/0, /*streams=*/0,
                                                 /*prefetch=*/0, /*keyBlock=*/0));
  }
}

void splitFewTiles(ModuleOp module, Architecture architecture, bool hasMemory) {
  // Of large GPUs, and the rows of a step of prefill; two blocks a multiprocessor are worth it. A part has so
  // many columns of K at least.
  constexpr int64_t multiprocessors = 132, stepRows = 512, leastDepth = 256, mostSplits = 8;
  for (auto function : module.getOps<kernel::FuncOp>()) {
    auto op = dyn_cast<kernel::MatmulOp>(function.getAnchor().getOperation());
    if (!op || op.getSplits() > 1 || !canSplit(op))
      continue;
    kernel::Grid grid = op.getGrid();
    int64_t tiles = grid.columns * llvm::divideCeil(stepRows, grid.rowsPerTile), splits = 1;
    // Chunks of 8 bits have twice the columns.
    int64_t depth = isFp8(op.getLeft().getType().getElement()) ? 2 * leastDepth : leastDepth;
    while (tiles < multiprocessors && splits < mostSplits && tiles * splits * 2 <= 2 * multiprocessors &&
           op.getInputs() >= splits * 2 * depth)
      splits *= 2;
    if (splits > 1 && (hasMemory || clustersFor(splits, architecture)))
      op->setAttr("kernel.split_k", IntegerAttr::get(IntegerType::get(op.getContext(), 64), splits));
  }
}

} // namespace sinter::gpu
