// SPDX-License-Identifier: Apache-2.0
// Tiles whose numbers are rounded to bf16, on tensor cores (mma.sync m16n8k16): a warp has 32 lines of the
// left side and all 64 of the right one.
//
// Two neighbours along K are a word of an operand: line l of pair p lies at word p * 64 + (l ^ 4 * (p % 4)).
// Rows and columns of the products side by side are dealt out so that a lane reads its words by fours, and
// has 4 neighbouring sums of a row.
#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/matmul/FloatTile.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::gpu {

constexpr int64_t halfRows = 4, halfQuads = 4; // of a thread

/// In 32-bit words.
static Value wordAt(Emitter &e, Value chunk, Value pair, Value line) {
  Value turned = e.bitXor(line, e.mul(e.bitAnd(pair, 3), 4));
  return e.at(chunk, e.add(e.mul(pair, FloatTile::side), turned), e.i32());
}

/// The first of the 4 lines that are row or column `group` (0 to 7) of 4 products.
static Value linesOf(Emitter &e, Value group) {
  return e.add(e.mul(e.rem(group, 2), 16), e.mul(e.div(group, 2), 4));
}

/// Rows 2 i and 2 i + 1 are rows g and g + 8 of product i.
Value FloatTile::halfM(int64_t row) {
  return e.add(e.add(e.mul(frame.warp(), 32), linesOf(e, e.div(frame.lane(), 4))), row);
}
Value FloatTile::halfN(int64_t quad) { return e.add(e.mul(e.rem(frame.lane(), 4), 4), quad * 16); }

void FloatTile::putHalves(const TileSide &operand, ValueRange values, Value to) {
  int64_t w = operand.width;
  SmallVector<Piece> pieces = piecesOf(operand);
  auto narrow = [&](Value value) { return e.narrow(value, e.bf16()); };
  if (operand.alongK && w == 1) {
    for (auto [piece, value] : llvm::zip(pieces, values)) {
      Value half = e.at(wordAt(e, to, e.div(piece.k, 2), piece.line), e.rem(piece.k, 2), e.bf16());
      e.store(e.extract(narrow(value), 0), half);
    }
    return;
  }
  if (operand.alongK) {
    for (size_t first = 0; first < pieces.size(); first += 4) {
      SmallVector<Value, 4> words;
      for (Value value : values.slice(first, 4))
        words.push_back(e.bitcast(e.vec(w / 2, e.i32()), narrow(value)));
      for (int64_t i = 0; i < w / 2; ++i) {
        SmallVector<Value> lines;
        for (Value word : words)
          lines.push_back(e.extract(word, i));
        Value pair = e.add(e.div(pieces[first].k, 2), i);
        e.storeAligned(e.pack(lines), wordAt(e, to, pair, pieces[first].line));
      }
    }
    return;
  }
  // Two pieces are neighbours along K.
  for (size_t i = 0; i < pieces.size(); i += 2) {
    SmallVector<int64_t> order;
    for (int64_t line = 0; line < w; ++line)
      order.append({line, w + line});
    Value both = vector::ShuffleOp::create(e.b, e.loc, narrow(values[i]), narrow(values[i + 1]), order);
    e.storeAligned(e.bitcast(e.vec(w, e.i32()), both), wordAt(e, to, e.div(pieces[i].k, 2), pieces[i].line));
  }
}

SmallVector<Value> FloatTile::multiplyHalves(Value left, Value right, ValueRange sums) {
  Value group = e.div(frame.lane(), 4), t = e.rem(frame.lane(), 4);
  /// Of 4 lines, the words of pairs t and t + 4, which are turned alike.
  auto words = [&](Value chunk, Value line) {
    Value first = wordAt(e, chunk, t, line);
    Type four = e.vec(4, e.i32());
    return Two{e.loadAligned(four, first), e.loadAligned(four, e.at(first, 4 * side, e.i32()))};
  };
  Two rows = words(left, halfM(0));
  SmallVector<Value> next(sums);
  for (int64_t half = 0; half < 2; ++half) { // columns
    Two columns = words(right, e.add(linesOf(e, group), half * 32));
    for (int64_t tile = 0; tile < 2; ++tile) {
      Four a;
      for (int64_t i = 0; i < 4; ++i)
        a[i] = e.extract(rows[i / 2], 2 * tile + i % 2);
      // Columns 2 t and 2 t + 1 of 4 products are two quads, of two rows each.
      std::array<SmallVector<Value>, 4> quads;
      auto quadAt = [&](int64_t i) -> Value & {
        return next[(2 * tile + i / 2) * halfQuads + 2 * half + i % 2];
      };
      for (int64_t product = 0; product < 4; ++product) {
        Two b = {e.extract(columns[0], product), e.extract(columns[1], product)};
        Four before;
        for (int64_t i = 0; i < 4; ++i)
          before[i] = e.extract(quadAt(i), product);
        Four after = mmaHalf(e, e.bf16(), a, b, before);
        for (int64_t i = 0; i < 4; ++i)
          quads[i].push_back(after[i]);
      }
      for (int64_t i = 0; i < 4; ++i)
        quadAt(i) = e.pack(quads[i]);
    }
  }
  return next;
}

static_assert(halfRows * halfQuads == FloatTile::rows * FloatTile::quads, "as many sums as without rounding");

} // namespace sinter::gpu
