// SPDX-License-Identifier: Apache-2.0
// What the forms of attention share: scores, and addresses in the cache.
#ifndef SINTER_PASSES_LOWERING_GPU_ATTENTION_ATTENTION_H
#define SINTER_PASSES_LOWERING_GPU_ATTENTION_ATTENTION_H

#include "passes/lowering/Anchors.h"
#include "passes/lowering/gpu/Frame.h"

namespace sinter::gpu {

struct AttentionShape : AttentionSizes {
  using AttentionSizes::AttentionSizes;

  /// Product of a query and a key -> score. `distance`: t - position (i32), `head` (i32).
  mlir::Value finishScore(Frame &frame, mlir::Value product, mlir::Value head, mlir::Value distance) const;
  /// Copies heads first to first + count - 1 of a row's query to shared memory, times queryFactor(). All
  /// threads of the block share the work.
  void copyQuery(Frame &frame, mlir::Value row, mlir::Value first, int64_t count,
                 mlir::Value destination) const;
  /// Where the keys and values of a head of a slot (numbers, i32) begin.
  mlir::Value keysOf(Frame &frame, mlir::Value slot, mlir::Value head) const;
  mlir::Value valuesOf(Frame &frame, mlir::Value slot, mlir::Value head) const;
  /// Element 0 of the key of a token: element d lies d * 16 further.
  mlir::Value keyAt(Frame &frame, mlir::Value keys, mlir::Value token) const;
  mlir::Value valueAt(Frame &frame, mlir::Value values, mlir::Value token, mlir::Value column) const;
  /// First key that a row at `position` sees.
  mlir::Value firstKey(Emitter &e, mlir::Value position) const;
};

/// Whether the cache and the heads suit tensor cores: f16 or bf16, sizes of a multiple of 16 up to 256.
bool fitsTensorAttention(kernel::AttentionOp op);
mlir::LogicalResult emitTensorAttention(Frame &frame, kernel::AttentionOp op);
/// The same by wgmma, on sm_90a: warpgroups that copy and multiply; a producer, and two in turns.
mlir::LogicalResult emitWarpgroupAttention(Frame &frame, kernel::AttentionOp op);
mlir::LogicalResult emitPingPongAttention(Frame &frame, kernel::AttentionOp op);

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_ATTENTION_ATTENTION_H
