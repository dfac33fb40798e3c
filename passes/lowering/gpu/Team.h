// SPDX-License-Identifier: Apache-2.0
// Threads that work on one row or one group of columns together: a part of a warp, a warp, or the block.
#ifndef SINTER_PASSES_LOWERING_GPU_TEAM_H
#define SINTER_PASSES_LOWERING_GPU_TEAM_H

#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/lowering/gpu/Frame.h"

namespace sinter::gpu {

struct Team {
  int64_t size;      // threads: 1, 2, 4, ... 32, or all of the block
  int64_t count;     // teams of the block
  mlir::Value lane;  // number of the thread in its team (i32)
  mlir::Value index; // number of the team in the block (i32)
  mlir::Value place; // shared memory of the reductions of a block; null for a warp

  /// The whole block.
  static Team ofBlock(Frame &frame);
  /// `size` threads of a warp: 1, 2, 4, ... 32.
  static Team ofWarp(Frame &frame, int64_t size);

  bool isWarp() const { return size <= warpSize; }
  /// Threads of the team wait, and see each other's writes; all teams of a warp do at once.
  void wait(Frame &frame) const;
  /// Combines f32 numbers of all threads; each gets the result. In a tree: the order is fixed.
  mlir::Value reduce(Frame &frame, mlir::vector::CombiningKind kind, mlir::Value scalar) const;
  mlir::Value sum(Frame &frame, mlir::Value scalar) const {
    return reduce(frame, mlir::vector::CombiningKind::ADD, scalar);
  }
  mlir::Value max(Frame &frame, mlir::Value scalar) const {
    return reduce(frame, mlir::vector::CombiningKind::MAXNUMF, scalar);
  }
};

/// One step of a reduction, on scalars or vectors: sum, product, maximum or minimum.
mlir::Value combine(Emitter &e, mlir::vector::CombiningKind kind, mlir::Value a, mlir::Value b);
/// All elements of a vector combined, in their order.
mlir::Value elementsCombined(Emitter &e, mlir::vector::CombiningKind kind, mlir::Value vector);
/// What a reduction begins with.
double neutralOf(mlir::vector::CombiningKind kind);
bool isSupported(mlir::vector::CombiningKind kind);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_TEAM_H
