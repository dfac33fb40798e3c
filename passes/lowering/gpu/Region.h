// SPDX-License-Identifier: Apache-2.0
// Emits the regions of anchors for a team of threads: programs of kernel.rows, prologues and epilogues.
//
// A vector of the region is spread over the team: each thread makes some neighbouring elements of it at a
// time. An element is made from the elements it depends on, wherever these are (slices and shuffles only
// change the index), so most vectors are never stored. What later phases need after a reduction is kept in
// shared memory.
#ifndef SINTER_PASSES_LOWERING_GPU_REGION_H
#define SINTER_PASSES_LOWERING_GPU_REGION_H

#include "passes/lowering/gpu/Team.h"

namespace sinter::gpu {

/// Where the vector that a region yields goes: one row, f32, f16, bf16 or q8, in shared or global memory.
struct RowDestination {
  mlir::Value pointer;
  kernel::RowsType type;
  /// Columns that are wanted; column `begin` goes to `pointer`.
  int64_t begin = 0, end = INT64_MAX;
};

/// What every argument of a region is a multiple of (1: nothing is known): numbers, and offsets of addresses
/// in elements. Decides how many neighbouring elements a thread takes.
using Multiples = llvm::ArrayRef<int64_t>;

/// How many threads of a warp a region for a group of columns is worth: 1, 2, ... 32.
int64_t teamSizeOf(mlir::Region &region, Multiples multiples);

/// Emits a region. `arguments`: i32 for rows and columns, the address of f32 elements in shared memory for
/// vectors. Where `active` (i1, may be null) is false, nothing is stored but what is yielded; indices must be
/// valid all the same.
/// All threads of the team's warps (of the block, if the team is one) must come here together.
mlir::LogicalResult emitRegion(Frame &frame, mlir::Region &region, mlir::ValueRange arguments,
                               Multiples multiples, const Team &team, mlir::Value active,
                               const RowDestination *yielded = nullptr);

/// Stores V neighbouring f32 elements from `column` on in a row that begins at `pointer`. q8: V must be 4,
/// and 8 neighbouring lanes hold a block; all lanes of the warp must come here together.
void storeColumns(Frame &frame, mlir::Value vector, kernel::RowsType type, mlir::Value pointer,
                  mlir::Value column, mlir::Value active);

/// Stores V elements from `column` on of a head's key or value in the cache.
void emitAppend(Frame &frame, kernel::AppendOp op, mlir::Value vector, mlir::Value row, mlir::Value head,
                mlir::Value column, mlir::Value active);
/// V elements from `column` on of row `index` of a packed weight, as f32.
mlir::Value emitLookup(Frame &frame, kernel::WeightType type, mlir::Value weight, mlir::Value index,
                       mlir::Value column, int64_t n);
/// V elements from `column` on of what kernel.combine gives for `row`.
mlir::Value emitCombine(Frame &frame, kernel::CombineOp op, mlir::Value row, mlir::Value column, int64_t n);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_REGION_H
