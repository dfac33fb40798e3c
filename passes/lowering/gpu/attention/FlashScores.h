// SPDX-License-Identifier: Apache-2.0
// What all forms of flash attention on tensor cores do with the products of a block of keys: scores, masks,
// running maxima, weights. All is in registers: a lane has rows g and g + 8 of its warp's 16, g = lane / 4,
// and of every 8 columns 2t and 2t + 1, t = lane % 4.
#ifndef SINTER_PASSES_LOWERING_GPU_ATTENTION_FLASHSCORES_H
#define SINTER_PASSES_LOWERING_GPU_ATTENTION_FLASHSCORES_H

#include "passes/lowering/gpu/attention/Attention.h"

namespace sinter::gpu {

/// Maxima before any key: above every factor times what is invisible, so blocks that a row does not see add
/// nothing, and below every score.
inline constexpr double lowestMaximum = -1e20;

/// Of scores (8 keys, 4) the largest one of each of the lane's rows, times `factor` if it is not null.
llvm::SmallVector<mlir::Value> highsOf(Frame &frame, mlir::ValueRange scores, mlir::Value factor);
/// Whether a row of the warp has outgrown its maximum (i1, the warp's). A maximum that is too low by the
/// powers of two that are let pass costs nothing but range: weights are up to 2^8, which all types have. So
/// most blocks leave the sums alone, which would be as many multiplications as there are sums.
mlir::Value areHigher(Emitter &e, mlir::ValueRange maxima, mlir::ValueRange highs);

class FlashScores {
public:
  FlashScores(Frame &frame, kernel::AttentionOp op) : frame(frame), e(frame.e), shape(op) {}

protected:
  using Numbers = llvm::SmallVector<mlir::Value>;

  /// The thread's numbers; the warp's rows begin at `row` of the turn.
  void placeThread(mlir::Value row);
  /// Products (8 keys, 4) of a block, which begins at key `block`, become scores; of keys that a row does not
  /// see lowest ones. They lack the factor that weigh() and highsOf() apply where it is all there is to them.
  void finish(mlir::Value block, Numbers &products);
  /// The largest score of each of the lane's rows.
  Numbers highsOf(const Numbers &scores);
  /// Scores become weights: 2^(score - maximum). The results are their sums over the lane's columns (2).
  Numbers weigh(Numbers &scores, mlir::ValueRange maxima);
  /// numbers (8 columns, 4) times `correction` of row r.
  static void scale(Emitter &e, llvm::MutableArrayRef<mlir::Value> numbers, int64_t r,
                    mlir::Value correction);
  /// Pairs of weights, rounded to the cache's type: operands of the second product (i32).
  Numbers pairsOf(mlir::ValueRange weights);
  /// numbers (8 columns, 4) / sums (2) to the output; `first`: row of the warp's first one, `end`: the row
  /// after the turn's last one.
  void storeRows(mlir::Value first, mlir::Value end, mlir::ValueRange sums, mlir::ValueRange numbers);

  int64_t valueTiles() const { return shape.valueSize / 8; }

  Frame &frame;
  Emitter &e;
  AttentionShape shape;
  int64_t blockKeys = 64;
  mlir::Value warpRow; // the warp's first row in the turn
  mlir::Value lane, group, inGroup;
  mlir::Value head;                  // of the tile
  mlir::Value firstPosition, keyEnd; // of the turn: of its first row; the key after the last row's own

private:
  /// Whether scores are more than a factor times products.
  bool isMore() const { return shape.op.getSoftcap().convertToDouble() > 0 || shape.hasSlopes(); }
  Numbers masked(mlir::Value block, const Numbers &scores);
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_ATTENTION_FLASHSCORES_H
