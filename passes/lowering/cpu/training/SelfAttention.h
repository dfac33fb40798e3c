// SPDX-License-Identifier: Apache-2.0
// What both directions of attention among the rows of the step share: sizes, which keys a row sees, and
// scores.
#ifndef SINTER_PASSES_LOWERING_CPU_TRAINING_SELFATTENTION_H
#define SINTER_PASSES_LOWERING_CPU_TRAINING_SELFATTENTION_H

#include "passes/lowering/Dropout.h"
#include "passes/lowering/SelfAttentionScores.h"
#include "passes/lowering/cpu/attention/Attention.h"

#include <optional>

namespace sinter::cpu {

/// Queries and keys of a block: scores of one are in memory at a time.
inline constexpr int64_t attentionBlock = 64;

/// Numbers of a sequence are counted from its first row; `rows` of a tile are one sequence.
class SelfAttention {
public:
  template <typename OpT>
  SelfAttention(Frame &frame, OpT op)
      : frame(frame), e(frame.e), heads(op.getHeads()), keyHeads(op.getKvHeads()), group(heads / keyHeads),
        keySize(op.getQuery().getType().getColumns() / heads),
        valueSize(op.getValue().getType().getColumns() / keyHeads), sequence(op.getSequence()),
        window(op.getWindow()), lanes(e.target.lanes()), scale(op.getScale().convertToDouble()),
        cap(op.getSoftcap().convertToDouble()), query(op.getQuery()), key(op.getKey()), value(op.getValue()),
        slopes(op.getSlopes()) {
    firsts = frame.allocate(sequence * 8);
    if (op.getSite())
      dropout.emplace(
          dropoutAt(frame, frame.stepField(abi::stepSeed), op.getSite(), op.getDropout().convertToDouble()));
  }

  /// Reads for each of `rows` rows from `rowBegin` on the first row of the sequence that it sees.
  void findFirsts(mlir::Value rowBegin, mlir::Value rows);
  /// The least of them among rows begin to end - 1.
  mlir::Value leastFirst(mlir::Value begin, mlir::Value end);
  mlir::Value firstOf(mlir::Value row) { return e.load(e.i64(), e.at(firsts, row, e.i64())); }

  /// One head of an argument's row (of the step).
  mlir::Value headOf(mlir::Value argument, mlir::Value row, mlir::Value head, int64_t size);
  /// Writes one head of rows as [block of keys][size][attentionBlock]; what lacks in the last block is zeros.
  void transpose(mlir::Value argument, mlir::Value rowBegin, mlir::Value rows, mlir::Value head, int64_t size,
                 mlir::Value to);
  int64_t transposedBytes(int64_t size) const {
    return (sequence + attentionBlock - 1) / attentionBlock * attentionBlock * size * 4;
  }
  /// Copies heads of `rows` queries, times what makes products the argument of `score`.
  void copyQueries(mlir::Value rowBegin, mlir::Value rows, mlir::Value head, mlir::Value to);
  /// slope of the head, times log2(e); null without slopes.
  mlir::Value slopeOf(mlir::Value head);
  mlir::Value score(mlir::Value products, mlir::Value slope, mlir::Value row, mlir::Value firstKey,
                    mlir::Value *capped = nullptr) {
    return selfAttentionScores(e, products, cap, slope, row, firstKey, capped);
  }
  /// Which of the keys from `firstKey` on the row sees (a vector of i1).
  mlir::Value sees(mlir::Value row, mlir::Value first, mlir::Value firstKey);

  /// With dropout: the key of a head of a row of the step, and what the probabilities of that row (`row` of
  /// the sequence) and of keys from `firstKey` on are multiplied by.
  mlir::Value dropoutKey(mlir::Value ofStep, mlir::Value head) {
    return dropout->keyOf(e.add(e.mul(ofStep, heads), head));
  }
  mlir::Value dropoutFactors(mlir::Value key, mlir::Value row, mlir::Value firstKey) {
    return dropout->factors(key, e.sub(row, firstKey), -1, lanes);
  }

  Frame &frame;
  Emitter &e;
  std::optional<Dropout> dropout;
  int64_t heads, keyHeads, group, keySize, valueSize, sequence, window, lanes;
  double scale, cap;
  mlir::Value query, key, value, slopes; // arguments of the kernel

private:
  mlir::Value firsts; // scratch: (sequence) i64
};

} // namespace sinter::cpu

#endif // SINTER_PASSES_LOWERING_CPU_TRAINING_SELFATTENTION_H
