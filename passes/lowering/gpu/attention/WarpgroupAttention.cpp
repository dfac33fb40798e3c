// SPDX-License-Identifier: Apache-2.0
// kernel.attention prefill by wgmma (sm_90a): 128 rows a turn, 64 a warpgroup, which share blocks of keys and
// values. Queries, keys and values are operands in shared memory, weights in registers. Keys lie in panels
// (dimension, 16 tokens) and values in rows: both are contiguous along the product's columns, so copies put 4
// panels, or 64 columns, beside each other in lines of 128 bytes, swizzled.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/Warpgroup.h"
#include "passes/lowering/gpu/attention/FlashAttention.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

class WarpgroupAttention : public FlashAttention {
public:
  WarpgroupAttention(Frame &frame, kernel::AttentionOp op) : FlashAttention(frame, op) {
    assert(frame.sharedBytes == 0 && "operands of wgmma begin at a multiple of 1024");
    rows = 128;
    rowsTogether = 64;
    frame.threads = rows / 64 * warpgroupSize;
    int64_t longest = std::max(shape.keySize, shape.valueSize);
    frame.blocksPerSm = 1;
    blockKeys = longest <= 128 ? 128 : 64;
    allocate(lines(shape.keySize) * rows * swizzledLine,
             blockKeys / swizzledNumbers * shape.keySize * swizzledLine,
             lines(shape.valueSize) * blockKeys * swizzledLine);
  }

private:
  Value placeOfQuery(Value row, Value piece) override { return placeInRows(row, piece, rows); }
  Value placeOfKeys(int64_t copy) override;
  Value placeOfValues(int64_t copy) override;
  void publish() override { fenceAsyncShared(e); }
  Numbers multiplyKeys(Value stage) override;
  Numbers multiplyValues(Value stage, ValueRange weights, ValueRange sums) override;

  static int64_t lines(int64_t numbers) { return llvm::divideCeil(numbers, swizzledNumbers); }
  /// Of a row, 64 columns a line; `count` rows of the same columns follow each other.
  Value placeInRows(Value row, Value piece, int64_t count) {
    return e.add(e.mul(e.div(piece, 8), count * swizzledLine), placeInLine(e, row, e.rem(piece, 8)));
  }
};

Value WarpgroupAttention::placeOfKeys(int64_t copy) {
  int64_t inPanel = 2 * shape.keySize, threads = frame.threads;
  // Piece number: (panel, dimension, half of 16 tokens). 4 panels are a line of each dimension.
  auto place = [&](Value panel, Value dimension, Value half) {
    return placeInLine(e, dimension, e.add(e.mul(panel, 2), half));
  };
  if (threads % inPanel == 0 && threads / inPanel <= 4) { // the same dimension in some panel further
    int64_t panel = copy * (threads / inPanel);
    Value rest = e.rem(frame.thread, inPanel);
    Value mine = place(e.div(frame.thread, inPanel), e.div(rest, 2), e.rem(rest, 2));
    return e.add(e.bitXor(mine, e.constant(panel % 4 * 32)), panel / 4 * shape.keySize * swizzledLine);
  }
  Value piece = pieceOf(copy), panel = e.div(piece, inPanel), rest = e.rem(piece, inPanel);
  return e.add(place(e.rem(panel, 4), e.div(rest, 2), e.rem(rest, 2)),
               e.mul(e.div(panel, 4), shape.keySize * swizzledLine));
}

Value WarpgroupAttention::placeOfValues(int64_t copy) {
  int64_t pieces = shape.valueSize / 8;
  if (frame.threads % (pieces * 8) == 0) // some multiple of 8 rows further
    return e.add(placeInRows(e.div(frame.thread, pieces), e.rem(frame.thread, pieces), blockKeys),
                 copy * (frame.threads / pieces) * swizzledLine);
  return placeInRows(e.div(pieceOf(copy), pieces), e.rem(pieceOf(copy), pieces), blockKeys);
}

WarpgroupAttention::Numbers WarpgroupAttention::multiplyKeys(Value stage) {
  Value left = describeRows(e, e.atByte(query, e.mul(e.div(frame.warp(), 4), 64 * swizzledLine)));
  Value right = describeColumns(e, keysAt(stage), shape.keySize * swizzledLine);
  Registers scores(blockKeys / 2, LLVM::PoisonOp::create(e.b, e.loc, e.f32()));
  scores = fenceRegisters(e, scores);
  for (int64_t step = 0; step < shape.keySize / 16; ++step) {
    Value mine = describeFurther(e, left, step / 4 * rows * swizzledLine + step % 4 * 32);
    scores = multiplyShared(e, shape.element, mine, describeFurther(e, right, step * 16 * swizzledLine),
                            step ? Value() : e.constant(0), scores);
  }
  commitProducts(e);
  return waitProducts(e, scores, {});
}

WarpgroupAttention::Numbers WarpgroupAttention::multiplyValues(Value stage, ValueRange weights,
                                                               ValueRange carried) {
  Value right = describeColumns(e, valuesAt(stage), blockKeys * swizzledLine);
  Registers all = pairsOf(weights);
  size_t count = all.size();
  all.append(carried.begin(), carried.end());
  all = fenceRegisters(e, all);
  Registers left(ArrayRef<Value>(all).take_front(count)), sums(ArrayRef<Value>(all).drop_front(count));
  // 16 keys at a time: of two tiles of weights rows g and g + 8.
  for (int64_t step = 0; step < blockKeys / 16; ++step)
    sums = multiply(e, shape.element, ArrayRef<Value>(left).slice(step * 4, 4),
                    describeFurther(e, right, step * 16 * swizzledLine), sums, /*isTransposed=*/true);
  commitProducts(e);
  return waitProducts(e, sums, left);
}

} // namespace

LogicalResult emitWarpgroupAttention(Frame &frame, kernel::AttentionOp op) {
  return WarpgroupAttention(frame, op).emit();
}

} // namespace sinter::gpu
