// SPDX-License-Identifier: Apache-2.0
// kernel.attention prefill by mma.sync m16n8k16: 64 or 128 rows a turn. Keys lie in panels (dimension, 16
// tokens), values in rows: both are right operands by ldmatrix.trans.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/attention/FlashAttention.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t panel = kernel::cachePanel;

class TensorAttention : public FlashAttention {
public:
  TensorAttention(Frame &frame, kernel::AttentionOp op) : FlashAttention(frame, op) {
    int64_t longest = std::max(shape.keySize, shape.valueSize);
    rows = op.getGrid().rowsPerTile > 64 && longest <= 128 ? 128 : 64;
    frame.threads = rows / 16 * warpSize;
    // A row's weighted values are in registers: half as many as a head is long.
    frame.blocksPerSm = (shape.valueSize <= 64 ? 4 : shape.valueSize <= 128 ? 2 : 1) * 64 / rows;
    // 128 registers a thread where heads are short: scores with a cap leave room for half of the keys.
    bool isCapped = op.getSoftcap().convertToDouble() > 0;
    bool isCrowded = isCapped && longest > 48 && shape.valueSize <= 64;
    blockKeys = longest > 128 || isCrowded ? 32 : 64;
    allocate(rows * shape.keySize * 2, blockKeys * shape.keySize * 2, blockKeys * shape.valueSize * 2);
  }

private:
  Value placeOfQuery(Value row, Value piece) override { return swizzled(row, piece, shape.keySize / 8); }
  Value placeOfKeys(int64_t copy) override;
  Value placeOfValues(int64_t copy) override;
  Numbers multiplyKeys(Value stage) override;
  Numbers multiplyValues(Value stage, ValueRange weights, ValueRange sums) override;

  /// Where 16 bytes of a row of `pieces` such lie: lines of 128 bytes are swizzled, so that 8 rows do not
  /// collide.
  Value swizzled(Value row, Value piece, int64_t pieces) {
    if (pieces % 8 == 0)
      piece = e.bitXor(piece, e.rem(row, 8));
    return e.mul(e.add(e.mul(row, pieces), piece), 16);
  }
};

/// Copies are half as many lines apart as the block has threads.
Value TensorAttention::placeOfKeys(int64_t copy) {
  return e.add(placeInShortLine(e, e.div(frame.thread, 2), e.rem(frame.thread, 2)),
               copy * frame.threads * 16);
}

Value TensorAttention::placeOfValues(int64_t copy) {
  int64_t pieces = shape.valueSize / 8;
  if (frame.threads % (pieces * 8) == 0)
    return e.add(swizzled(e.div(frame.thread, pieces), e.rem(frame.thread, pieces), pieces),
                 copy * frame.threads * 16);
  return swizzled(e.div(pieceOf(copy), pieces), e.rem(pieceOf(copy), pieces), pieces);
}

TensorAttention::Numbers TensorAttention::multiplyKeys(Value stage) {
  Value base = keysAt(stage);
  Numbers scores(blockKeys / 8 * 4, e.constantF(e.f32(), 0));
  // 16 dimensions at a time. Lane l names line l % 8 of matrix l / 8. Left: rows 0-7, 8-15 of the first 8
  // dimensions, then of the others. Right: the dimensions 0-7, 8-15 of 8 tokens, then of the next 8.
  Value matrix = e.div(lane, 8), line = e.rem(lane, 8);
  Value queryRow = e.add(warpRow, e.rem(lane, 16));
  Value firstLine = e.add(e.mul(e.rem(matrix, 2), 8), line);
  Value place = e.atByte(base, placeInShortLine(e, firstLine, e.div(matrix, 2)));
  for (int64_t step = 0; step < shape.keySize / 16; ++step) {
    Value piece = e.add(e.div(lane, 16), step * 2);
    Four left = loadMatrices(e, e.atByte(query, swizzled(queryRow, piece, shape.keySize / 8)));
    for (int64_t number = 0; number < blockKeys / panel; ++number) {
      int64_t further = (step * 16 + number * shape.keySize) * panel * 2;
      Four right = loadMatricesTransposed(e, e.atByte(place, further));
      for (int64_t half = 0; half < 2; ++half)
        addProduct(e, shape.element, left, {right[2 * half], right[2 * half + 1]}, scores,
                   (number * 2 + half) * 4);
    }
  }
  return scores;
}

/// 16 keys at a time: two tiles of weights are a left operand. Right: keys 0-7, 8-15 of 8 columns, then of
/// the next 8.
TensorAttention::Numbers TensorAttention::multiplyValues(Value stage, ValueRange weights,
                                                         ValueRange carried) {
  Value base = valuesAt(stage);
  Value matrix = e.div(lane, 8), line = e.rem(lane, 8);
  Numbers sums(carried);
  for (int64_t step = 0; step < blockKeys / 16; ++step) {
    Four left; // rows g, g + 8 of the first tile, then of the second
    llvm::copy(pairsOf(weights.slice(step * 8, 8)), left.begin());
    Value row = e.add(e.mul(e.rem(matrix, 2), 8), line);
    for (int64_t tile = 0; tile < valueTiles(); tile += 2) {
      Value piece = e.add(e.div(matrix, 2), tile);
      Value place = e.atByte(base, swizzled(row, piece, shape.valueSize / 8));
      Four right = loadMatricesTransposed(e, e.atByte(place, step * 16 * shape.valueSize * 2));
      for (int64_t half = 0; half < 2; ++half)
        addProduct(e, shape.element, left, {right[2 * half], right[2 * half + 1]}, sums, (tile + half) * 4);
    }
  }
  return sums;
}

} // namespace

bool fitsTensorAttention(kernel::AttentionOp op) {
  AttentionShape shape(op);
  int64_t most = std::max(shape.keySize, shape.valueSize);
  return !shape.element.isF32() && shape.keySize % 16 == 0 && shape.valueSize % 16 == 0 && most <= 256;
}

LogicalResult emitTensorAttention(Frame &frame, kernel::AttentionOp op) {
  return TensorAttention(frame, op).emit();
}

} // namespace sinter::gpu
