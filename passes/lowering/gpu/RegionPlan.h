// SPDX-License-Identifier: Apache-2.0
// What is decided about a region before it is emitted: how many neighbouring elements a thread takes, where
// the ranges of a vector's elements lie that are made alike, and what happens in which phase.
#ifndef SINTER_PASSES_LOWERING_GPU_REGIONPLAN_H
#define SINTER_PASSES_LOWERING_GPU_REGIONPLAN_H

#include "passes/lowering/gpu/Region.h"

#include "llvm/ADT/SetVector.h"

namespace sinter::gpu {

inline bool isVector(mlir::Value value) { return mlir::isa<mlir::VectorType>(value.getType()); }
inline int64_t lengthOf(mlir::Value vector) {
  return mlir::cast<mlir::VectorType>(vector.getType()).getDimSize(0);
}
/// Lookups and combinations: many instructions an element.
bool isSource(mlir::Operation *op);
/// What makes a loop over elements necessary: stores, reductions, and the yield of a prologue.
bool isSink(mlir::Operation *op);

struct RegionPlan {
  RegionPlan(mlir::Region &region, Multiples multiples);

  /// Neighbouring elements of a thread: 4, 2 or 1.
  int64_t elements = 4;
  /// The shortest range that a loop goes over.
  int64_t shortest = INT64_MAX;
  int64_t lastPhase = 0;
  llvm::DenseMap<mlir::Operation *, int64_t> when; // the phase that an operation runs in
  /// Whether each thread has the same elements of all vectors, in every phase: nothing moves between threads.
  /// Then what it has made of a few of them can stay in its registers.
  bool isLocal = true;
  /// Whether it stores to a buffer that it loads from.
  bool overwrites = false;
  /// Elements of each vector, where isLocal.
  int64_t length = 0;
  /// How many vectors, made in one phase, wait for a later one: at the end of the phase where they are the most.
  int64_t waiting = 0;
  /// Vectors that are kept in shared memory from the phase that makes them on.
  llvm::SetVector<mlir::Value> kept;

  /// 0, ..., length: between two neighbours the elements of `vector` are made alike.
  llvm::SmallVector<int64_t> rangesOf(mlir::Value vector) const;

private:
  void findLength();
  void findPhases();
  void findKept();
  void findWaiting();
  void findElements();
  /// A number that an index of the region is a multiple of; 0 if it is 0.
  int64_t multipleOf(mlir::Value index) const;

  mlir::Block &block;
  Multiples multiples;
};

/// Turns of a loop over elements that are unrolled, so that registers hold them all.
inline constexpr int64_t mostTurns = 8;
/// Whether `threads` have few enough elements each.
inline bool holdsAll(const RegionPlan &plan, int64_t threads) {
  return plan.isLocal && plan.length <= threads * plan.elements * mostTurns;
}

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_REGIONPLAN_H
