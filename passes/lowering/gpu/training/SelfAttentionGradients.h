// SPDX-License-Identifier: Apache-2.0
// The two parts of kernel.self_attention_backward with factors rounded to bf16, as FlashAttention-2 has them
// (Dao 2023, arXiv:2307.08691). With P = 2^(score - log_sum), F what dropout multiplied P by (else 1), D =
// sum of gradient * output:
//   value gradient = sum of (F * P)^T * gradient
//   dP = gradient * value^T
//   dS = P * (F * dP - D) * d score / d (scale * product)
//   query gradient = scale * sum of dS * key
//   key gradient = scale * sum of dS^T * query
//
// Each part makes P and dS of its own rows, 16 a warp: so they are left operands of its sums as they stand,
// and these stay in registers until they are stored, once. Products are those of mma.sync or of wgmma, whose
// accumulators lie alike, so all between products is the same.
#ifndef SINTER_PASSES_LOWERING_GPU_TRAINING_SELFATTENTIONGRADIENTS_H
#define SINTER_PASSES_LOWERING_GPU_TRAINING_SELFATTENTIONGRADIENTS_H

#include "passes/lowering/gpu/training/SwizzledRows.h"

namespace sinter::gpu {

/// How a block of threads goes through a tile.
struct GradientCut {
  int64_t ownRows;  // of the block, 16 a warp
  int64_t shares;   // warps that share rows, each with a part of the sums
  int64_t queries;  // of a block of queries that keys go through
  int64_t keys;     // of a block of keys that queries go through
  int64_t stages;   // of a block of queries
  bool isWarpgroup; // wgmma
};

/// A tile's part of one direction: emits the rows from `begin` to `end` - 1 of a key head's.
class GradientPart {
public:
  virtual ~GradientPart() = default;
  virtual void emit(mlir::Value keyHead, const SequencePart &part) = 0;
};
std::unique_ptr<GradientPart> queryGradient(Frame &frame, kernel::SelfAttentionBackwardOp op,
                                            GradientCut cut);
std::unique_ptr<GradientPart> keyGradients(Frame &frame, kernel::SelfAttentionBackwardOp op, GradientCut cut);

/// Products of a warp's 16 rows, of a block in shared memory, with all rows of other blocks: by mma.sync, or
/// by wgmma for the 64 rows of its warpgroup.
template <typename Rows> class WarpProducts {
public:
  static constexpr bool isWarpgroup = std::is_same_v<Rows, SwizzledRows>;

  WarpProducts(TensorSelfAttention &a, Rows &left) : a(a), e(a.e), left(left) {}

  /// The block's row of the warp's first one; by all warps.
  void setRow(mlir::Value row) {
    first = row;
    kept.clear();
    if constexpr (isWarpgroup)
      first = left.rows > 64 ? e.alignDown(row, 64) : mlir::Value();
  }
  /// From here on operands are in registers: their memory may be written.
  void keep() {
    if constexpr (!isWarpgroup) {
      left.lane = a.frame.lane();
      for (int64_t step = 0; step < left.columns / 16; ++step)
        kept.push_back(left.left(first, step * 16));
    }
  }
  /// (rows of right / 8, 4), there once await() has returned them.
  Numbers start(Rows &right) {
    if constexpr (isWarpgroup) {
      Registers none(right.rows / 2, mlir::LLVM::PoisonOp::create(e.b, e.loc, e.f32()));
      return Rows::startProducts(left, first, right, fenceRegisters(e, none));
    } else {
      left.lane = e.fresh(a.frame.lane());
      return a.multiplyRows(
          [&](int64_t step) { return kept.empty() ? left.left(first, step * 16) : kept[step]; }, right);
    }
  }
  /// `pending`: products that were started later.
  Numbers await(const Numbers &products, int64_t pending) {
    if constexpr (isWarpgroup)
      return waitProducts(e, products, {}, pending);
    else
      return products;
  }
  /// For each of some: sums (columns / 8, 4) + pairs * columns of right from `column` on.
  struct Sum {
    Numbers pairs;
    Rows &right;
    mlir::Value column;
    Numbers sums;
  };
  static void add(TensorSelfAttention &a, llvm::MutableArrayRef<Sum> all) {
    if constexpr (isWarpgroup) {
      Emitter &e = a.e;
      Registers registers;
      for (Sum &each : all)
        llvm::append_range(registers, each.pairs);
      size_t pairs = registers.size(), at = 0;
      for (Sum &each : all)
        llvm::append_range(registers, each.sums);
      registers = fenceRegisters(e, registers);
      mlir::ValueRange given(registers), left = given.take_front(pairs), before = given.drop_front(pairs);
      Registers sums;
      for (Sum &each : all) {
        llvm::append_range(sums, Rows::startSums(left.slice(at, each.pairs.size()), each.right,
                                                 before.slice(sums.size(), each.sums.size())));
        at += each.pairs.size();
      }
      sums = waitProducts(e, sums, left);
      at = 0;
      for (Sum &each : all)
        for (mlir::Value &sum : each.sums)
          sum = sums[at++];
    } else {
      for (Sum &each : all)
        a.addWeighted(each.pairs, each.right, each.column, each.sums);
    }
  }

private:
  TensorSelfAttention &a;
  Emitter &e;
  Rows &left;
  mlir::Value first;
  llvm::SmallVector<Four> kept;
};

/// Of a head's rows in shared memory, filled up with zeros; warps that share rows have whole pairs of 8.
inline int64_t columnsOf(const Frame &frame, const GradientCut &cut, int64_t size) {
  return llvm::alignTo(size,
                       std::max(16 * cut.shares, columnUnit(frame.threads, std::min(cut.queries, cut.keys))));
}

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_TRAINING_SELFATTENTIONGRADIENTS_H
