// SPDX-License-Identifier: Apache-2.0
// Anchors that draw tokens: checks and grids.
#include "dialects/kernel/Kernel.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace sinter::kernel;

int64_t sinter::kernel::samplingChunk(int64_t logits) {
  constexpr int64_t least = 256, mostChunks = 256;
  return std::max<int64_t>(least, llvm::PowerOf2Ceil(llvm::divideCeil(logits, mostChunks)));
}

int64_t sinter::kernel::samplingChunks(int64_t logits) {
  return llvm::divideCeil(logits, samplingChunk(logits));
}

static LogicalResult checkPeaks(Operation *op, RowsType logits, RowsType peaks) {
  int64_t chunks = samplingChunks(logits.getColumns());
  if (!logits.getElement().isF32() || !peaks.getElement().isF32() || peaks.getColumns() != chunks)
    return op->emitOpError() << "expected logits of f32 and " << chunks
                             << " peaks of f32, one a chunk of logits, found " << logits << " and " << peaks;
  return success();
}

LogicalResult PeaksOp::verify() { return checkPeaks(*this, getLogits().getType(), getPeaks().getType()); }

Grid PeaksOp::getGrid() {
  int64_t chunks = samplingChunks(getLogits().getType().getColumns());
  return {static_cast<int64_t>(llvm::divideCeil(chunks, peaksPerTile)), 1, 0, Domain::Selected};
}

LogicalResult SampleOp::verify() {
  RowsType drawn = getDrawn().getType();
  if (!drawn.getElement().isInteger() || drawn.getColumns() != 1)
    return emitOpError() << "expected drawn tokens of type !kernel.rows<1xi32>, found " << drawn;
  return checkPeaks(*this, getLogits().getType(), getPeaks().getType());
}

Grid SampleOp::getGrid() { return {1, 1, 0, Domain::Draws}; }
