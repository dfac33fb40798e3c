// SPDX-License-Identifier: Apache-2.0
// --kernel-choose-schedules: how each matmul is cut into tiles, where nothing has chosen yet.
//
//   kernel.matmul ... ranges {...}
//   ->
//   kernel.matmul ... schedule <columns_per_tile = 64> ranges {...}                      (used in decode)
//   kernel.matmul ... schedule <rows_per_tile = 96, columns_per_tile = 64> ranges {...} (prefill only)
//
// A decode step takes all its rows in one tile: rows_per_tile stays 0. Tiles hold whole groups of every range
// and whole panels of weights, so that nothing is computed twice. With gpu=true a tile is what a block of
// threads does.
#include "dialects/kernel/WeightLayout.h"
#include "passes/Passes.h"

#include <numeric>

using namespace mlir;

namespace sinter {
#define GEN_PASS_DEF_CHOOSESCHEDULESPASS
#include "passes/Passes.h.inc"

namespace {

/// Tiles of more columns than this are not worth whole groups.
constexpr int64_t widestTile = 512;
constexpr int64_t prefillColumns = 64, prefillRows = 96;
/// Of GPUs. Decode: so many tiles that every multiprocessor of a large one has two.
constexpr int64_t gpuPrefillRows = 64, gpuDecodeTiles = 264;
/// Outputs and inputs of a tile of a weight's gradient.
constexpr int64_t gpuGradientSide = 64;
/// Attention: by multiply-adds (f32) and on tensor cores.
constexpr int64_t gpuAttentionRows = 16, gpuTensorAttentionRows = 64;
/// Of a transposed weight with more inputs than this (the head's).
constexpr int64_t longInputs = 4096, longColumns = 96, longRows = 256;

/// The least width that every range's groups and the panels divide.
int64_t wholeGroups(kernel::MatmulOp op) {
  int64_t width = kernel::panelRows, widest = 1;
  for (auto range : op.getRanges().getOps<kernel::RangeOp>()) {
    int64_t group = range.getGroup();
    width = std::min(std::lcm(width, group), 2 * widestTile);
    widest = std::max(widest, group);
  }
  if (width > widestTile)
    width = (widest + kernel::panelRows - 1) / kernel::panelRows * kernel::panelRows;
  return width;
}

kernel::ScheduleAttr choose(kernel::MatmulOp op, bool decode) {
  int64_t columns = wholeGroups(op), rows = 0;
  if (op.getTransposed() && op.getInputs() > longInputs) {
    // Blocks of the weight are turned, and the left side is read, for every tile: few tiles, but an even
    // number.
    rows = longRows;
    int64_t tiles = llvm::alignTo((op.getOutputs() + longColumns - 1) / longColumns, 2);
    columns = llvm::alignTo((op.getOutputs() + tiles - 1) / tiles, columns);
  } else if (!decode) {
    rows = prefillRows;
    columns *= std::max<int64_t>(1, prefillColumns / columns);
  }
  return kernel::ScheduleAttr::get(op.getContext(), rows, columns, /*keysPerTile=*/0, /*tileRows=*/0,
                                   /*tileColumns=*/0, /*streams=*/0, /*prefetch=*/0, /*keyBlock=*/0);
}

kernel::ScheduleAttr chooseForGpu(kernel::MatmulOp op, bool decode) {
  int64_t whole = wholeGroups(op), most = std::max<int64_t>(1, prefillColumns / whole);
  int64_t times = decode ? std::clamp<int64_t>(op.getOutputs() / whole / gpuDecodeTiles, 1, most) : most;
  return kernel::ScheduleAttr::get(
      op.getContext(), decode ? 0 : gpuPrefillRows, whole * times, /*keysPerTile=*/0,
      /*tileRows=*/0, /*tileColumns=*/0, /*streams=*/0, /*prefetch=*/0, /*keyBlock=*/0);
}

struct ChooseSchedulesPass : impl::ChooseSchedulesPassBase<ChooseSchedulesPass> {
  using ChooseSchedulesPassBase::ChooseSchedulesPassBase;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    llvm::SmallPtrSet<Operation *, 16> decode;
    for (auto entry : getOperation().getOps<kernel::EntryOp>())
      if (entry.getSymName().starts_with("decode"))
        for (auto launch : entry.getOps<kernel::LaunchOp>())
          decode.insert(symbols.lookup(launch.getCallee()));
    for (auto function : getOperation().getOps<kernel::FuncOp>()) {
      Operation *anchor = function.getAnchor();
      if (auto attention = dyn_cast<kernel::AttentionOp>(anchor); attention && gpu)
        if (attention.getForm() == kernel::Form::Prefill) {
          bool isF32 = attention.getKeys().getType().getElement().isF32();
          int64_t rows = isF32 ? gpuAttentionRows : gpuTensorAttentionRows;
          kernel::ScheduleAttr given = attention.getScheduleAttr();
          attention.setScheduleAttr(kernel::ScheduleAttr::get(&getContext(), rows, 0, 0, 0, 0,
                                                              given ? given.getStreams() : 0, 0, 0));
        }
      if (auto gradient = dyn_cast<kernel::WeightGradientOp>(anchor); gradient && gpu)
        gradient.setScheduleAttr(
            kernel::ScheduleAttr::get(&getContext(), 0, gpuGradientSide, 0, 0, gpuGradientSide, 0, 0, 0));
      auto matmul = dyn_cast<kernel::MatmulOp>(anchor);
      if (!matmul)
        continue;
      kernel::ScheduleAttr schedule = matmul.getScheduleAttr();
      bool isDecode = schedule ? !schedule.getRowsPerTile() : decode.contains(function);
      if (gpu)
        matmul.setScheduleAttr(chooseForGpu(matmul, isDecode));
      else if (!schedule)
        matmul.setScheduleAttr(choose(matmul, isDecode));
    }
  }
};

} // namespace
} // namespace sinter
