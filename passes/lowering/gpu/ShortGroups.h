// SPDX-License-Identifier: Apache-2.0
// Epilogues that compute each column for itself, in groups that tiles of GPUs divide.
#ifndef SINTER_PASSES_LOWERING_GPU_SHORTGROUPS_H
#define SINTER_PASSES_LOWERING_GPU_SHORTGROUPS_H

#include "mlir/IR/BuiltinOps.h"

namespace sinter::gpu {

/// Shortens the groups of ranges to at most a panel, where a kernel.matmul of f32 for many rows has programs
/// that compute each column for itself: CPUs like groups long, and tiles here would compute the rest of those
/// that begin in them. To be done before schedules are chosen. No number changes.
void shortenGroups(mlir::ModuleOp module);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_SHORTGROUPS_H
