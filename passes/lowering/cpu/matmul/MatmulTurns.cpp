// SPDX-License-Identifier: Apache-2.0
// A block is four turns. Turn t takes quads t and t + 4: words t and t + 4 of 8-bit formats, both halves of
// the bytes of word t of others. The high bits of 5-bit formats are in a word that lives through the loop and
// is shifted each turn:
//
//   quad t     = (low[t] & 0x0f)      | (high << 4 & 0x10)
//   quad t + 4 = (low[t] >> 4 & 0x0f) | (high      & 0x10),   then high >>= 1
#include "passes/lowering/cpu/matmul/MatmulTurns.h"

#include "passes/lowering/cpu/matmul/MatmulBlock.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

/// What a turn finds of one column: half `half` of the panel whose block is at `block`.
class TurnColumn {
public:
  TurnColumn(Emitter &e, const kernel::WeightLayout &layout, Value block, int64_t half)
      : e(e), layout(layout), block(block), half(half) {}

  /// The word of high bits; null when there are none.
  Value high() { return layout.block.highBits ? word(e.constant(layout.lowWords())) : Value(); }

  /// Quads t and t + 4. Moves `high` on to the next turn.
  std::pair<Value, Value> quads(Value turn, Value *high) {
    Value low = word(turn);
    if (layout.block.lowBits == 8)
      return {bytes(low), bytes(word(e.add(turn, 4)))};
    Value first = bits(low, 0x0f), second = bits(right(low, 4), 0x0f);
    if (high) {
      first = arith::OrIOp::create(e.b, e.loc, first, bits(left(*high, 4), 0x10));
      second = arith::OrIOp::create(e.b, e.loc, second, bits(*high, 0x10));
      *high = right(*high, 1);
    }
    return {bytes(first), bytes(second)};
  }

private:
  Value word(Value index) {
    int64_t lanes = e.target.lanes(), offset = layout.scaleBytes() + half * lanes * 4;
    return e.load(e.vec(lanes, e.i32()), e.atByte(e.atByte(block, e.mul(index, 64)), offset));
  }
  Value left(Value word, int64_t n) {
    return arith::ShLIOp::create(e.b, e.loc, word, e.constantI(word.getType(), n));
  }
  Value right(Value word, int64_t n) {
    return arith::ShRUIOp::create(e.b, e.loc, word, e.constantI(word.getType(), n));
  }
  Value bits(Value word, int64_t mask) {
    return arith::AndIOp::create(e.b, e.loc, word, e.constantI(word.getType(), mask * 0x01010101));
  }
  Value bytes(Value word) {
    return vector::BitCastOp::create(e.b, e.loc, e.vec(4 * e.target.lanes(), e.i8()), word);
  }

  Emitter &e;
  const kernel::WeightLayout &layout;
  Value block;
  int64_t half;
};

} // namespace

bool takesTurns(const kernel::BlockTraits &block, Target target) {
  bool hasOneScale = block.subBlocks() == 1;
  return !target.vnni() && hasOneScale;
}

void emitTurns(Emitter &e, const kernel::WeightLayout &layout, ArrayRef<Value> blocks, Value integers,
               int64_t stride, int64_t rows, MutableArrayRef<Value> totals) {
  assert(layout.block.subBlocks() == 1 && "a block of these formats has one scale");
  QuadDot dot(e, layout.block);
  SmallVector<TurnColumn> columns;
  for (Value block : blocks)
    for (int64_t half = 0; half < halvesOf(e.target); ++half)
      columns.emplace_back(e, layout, block, half);

  // The loop carries the sums, then the words of high bits. Sums in 16 bits last for two turns of 5-bit
  // formats and for all of 4-bit ones, which carry them.
  int64_t turns = 4;
  bool carriesNarrow = dot.isNarrow() && dot.quads() == 8, finishes = dot.isNarrow() && !carriesNarrow;
  int64_t together = finishes ? dot.quads() / 2 : 1;
  SmallVector<Value> carried;
  for (Value total : totals) {
    Value zero = e.constantI(carriesNarrow ? dot.sumType() : e.vec(e.target.lanes(), e.i32()), 0);
    carried.push_back(total && !carriesNarrow ? total : zero);
  }
  bool hasHigh = layout.block.highBits;
  for (TurnColumn &column : columns)
    if (hasHigh)
      carried.push_back(column.high());

  carried = e.loop(e.constant(0), e.constant(turns), together, carried, [&](Value turn, ValueRange before) {
    SmallVector<Value> next = llvm::to_vector(before);
    SmallVector<Value> running(totals.size());
    if (!finishes)
      llvm::copy(ArrayRef(next).take_front(totals.size()), running.begin());
    for (int64_t t = 0; t < together; ++t) {
      Value now = e.add(turn, t), at = e.atByte(integers, e.mul(now, 4));
      SmallVector<Value> first, second;
      for (int64_t row = 0; row < rows; ++row) {
        first.push_back(dot.broadcast(e.atByte(at, row * stride)));
        second.push_back(dot.broadcast(e.atByte(at, row * stride + 16)));
      }
      for (auto [c, column] : llvm::enumerate(columns)) {
        auto [low, high] = column.quads(now, hasHigh ? &next[totals.size() + c] : nullptr);
        for (int64_t row = 0; row < rows; ++row) {
          Value &sum = running[row * columns.size() + c];
          sum = dot.add(dot.add(sum, low, first[row]), high, second[row]);
        }
      }
    }
    for (size_t i = 0; i < totals.size(); ++i)
      next[i] = finishes ? dot.finish(next[i], running[i]) : running[i];
    return next;
  });
  for (size_t i = 0; i < totals.size(); ++i)
    totals[i] = carriesNarrow ? dot.finish(totals[i], carried[i]) : carried[i];
}

} // namespace sinter::cpu
