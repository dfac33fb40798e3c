// SPDX-License-Identifier: Apache-2.0
// What the forms of attention share: scores, and addresses in the cache.
#ifndef SINTER_PASSES_LOWERING_CPU_ATTENTION_ATTENTION_H
#define SINTER_PASSES_LOWERING_CPU_ATTENTION_ATTENTION_H

#include "passes/lowering/Anchors.h"
#include "passes/lowering/cpu/Frame.h"

namespace sinter::cpu {

/// Tokens whose keys lie together.
inline constexpr int64_t panel = kernel::cachePanel;

/// A piece of a row that fits a register: `n` elements from `first` on; the last of a row may be short.
struct Segment {
  int64_t first, n;
};
llvm::SmallVector<Segment> segmentsOf(int64_t length, int64_t lanes);

struct AttentionShape : AttentionSizes {
  using AttentionSizes::AttentionSizes;

  /// Products of query and keys (a vector) -> scores. `distance`: t - position as f32 vector, `slope`: vector
  /// of slope * log2(e); both only with slopes.
  mlir::Value finishScore(Emitter &e, mlir::Value products, mlir::Value slope, mlir::Value distance) const;
  /// slope of a query head (i64) times log2(e), in n lanes; null without slopes.
  mlir::Value slopeOf(Frame &frame, mlir::Value head, int64_t n) const;
  /// Copies one head of a query row to `destination`, times queryFactor().
  void copyQuery(Frame &frame, mlir::Value row, mlir::Value head, mlir::Value destination) const;
  /// Where the keys and values of a head (i64) of the slot of `row` begin.
  mlir::Value keysOf(Frame &frame, mlir::Value row, mlir::Value head) const;
  mlir::Value valuesOf(Frame &frame, mlir::Value row, mlir::Value head) const;
  /// First key that a row at `position` sees.
  mlir::Value firstKey(Emitter &e, mlir::Value position) const;
};

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_ATTENTION_ATTENTION_H
