// SPDX-License-Identifier: Apache-2.0
#include "passes/lowering/gpu/WarpgroupTiles.h"

#include "passes/lowering/gpu/MatmulTensor.h"

using namespace mlir;

namespace sinter::gpu {

/// Accumulators along each side, and the fewest tiles of columns that are worth it: with the 4 tiles of rows
/// of a prefill step 64 blocks.
constexpr int64_t widest = 128, fewest = 16;

void widenTiles(ModuleOp module) {
  for (auto function : module.getOps<kernel::FuncOp>()) {
    Operation *anchor = function.getAnchor();
    auto op = dyn_cast<kernel::MatmulOp>(anchor);
    if (!op || !fitsTensorCores(op) || op.getOutputs() < widest * fewest)
      continue;
    int64_t columns = op.getScheduleAttr().getColumnsPerTile(), weights = op.getWeights().size();
    columns *= std::max<int64_t>(1, widest / columns);
    op.setScheduleAttr(kernel::ScheduleAttr::get(op.getContext(), widest / weights, columns,
                                                 /*keysPerTile=*/0,
                                                 /*tileRows=*/0, /*tileColumns=*/0, /*streams=*/0,
                                                 /*prefetch=*/0, /*keyBlock=*/0));
  }
}

} // namespace sinter::gpu
