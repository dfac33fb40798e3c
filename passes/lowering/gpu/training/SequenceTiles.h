// SPDX-License-Identifier: Apache-2.0
// Tiles of attention in training steps, after --kernel-choose-schedules=gpu=true.
#ifndef SINTER_PASSES_LOWERING_GPU_SEQUENCETILES_H
#define SINTER_PASSES_LOWERING_GPU_SEQUENCETILES_H

#include "mlir/IR/BuiltinOps.h"

namespace sinter::gpu {

/// Cuts sequences of a multiple of 64 rows into tiles of 64. Gradients take 7 products then instead of 5:
/// theirs are cut where whole sequences would leave multiprocessors without a tile, as far as the attribute
/// kernel.most_rows of a function says how many rows it is launched for.
void cutSequences(mlir::ModuleOp module);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_SEQUENCETILES_H
