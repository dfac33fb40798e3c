// SPDX-License-Identifier: Apache-2.0
// What all forms of attention among the rows of the step have of their operation: sizes, arguments, and which
// keys a row sees.
#ifndef SINTER_PASSES_LOWERING_GPU_TRAINING_SELFATTENTIONROWS_H
#define SINTER_PASSES_LOWERING_GPU_TRAINING_SELFATTENTIONROWS_H

#include "passes/lowering/Dropout.h"
#include "passes/lowering/gpu/Frame.h"

#include <optional>

namespace sinter::gpu {

/// Numbers of rows are those of the tile's sequence, from 0.
class SelfAttentionRows {
public:
  template <typename OpT>
  SelfAttentionRows(Frame &frame, OpT op)
      : frame(frame), e(frame.e), heads(op.getHeads()), keyHeads(op.getKvHeads()), group(heads / keyHeads),
        keySize(op.getQuery().getType().getColumns() / heads),
        valueSize(op.getValue().getType().getColumns() / keyHeads), window(op.getWindow()),
        scale(op.getScale().convertToDouble()), cap(op.getSoftcap().convertToDouble()), query(op.getQuery()),
        key(op.getKey()), value(op.getValue()), slopes(op.getSlopes()) {
    if (op.getSite())
      dropout.emplace(dropoutAt(frame, frame.wideStepField(abi::stepSeed), op.getSite(),
                                op.getDropout().convertToDouble()));
  }

  /// Rows begin to end - 1 of the step are the tile's sequence.
  void setSequence(mlir::Value begin, mlir::Value end) {
    rowBegin = begin;
    rows = e.sub(end, begin);
  }
  /// The head's slope, times log2(e).
  void setHead(mlir::Value ofHead);
  /// The last row of the sequence for those behind it.
  mlir::Value clamped(mlir::Value row) { return e.min(row, e.sub(rows, 1)); }
  /// One head of an argument's row, which must be there.
  mlir::Value headOf(mlir::Value argument, mlir::Value row, mlir::Value ofHead, int64_t size);
  /// The first key that a row sees, whatever positions say none of another sequence.
  mlir::Value firstKeyOf(mlir::Value row);
  /// With dropout: the key (i64) of the probabilities of a row.
  mlir::Value dropoutKeyOf(mlir::Value row);

  Frame &frame;
  Emitter &e;
  std::optional<Dropout> dropout;
  int64_t heads, keyHeads, group, keySize, valueSize, window;
  double scale, cap;
  mlir::Value query, key, value, slopes; // arguments of the kernel
  mlir::Value rowBegin, rows;            // of the tile
  mlir::Value head, slope;
};

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_TRAINING_SELFATTENTIONROWS_H
