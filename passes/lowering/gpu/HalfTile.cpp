// SPDX-License-Identifier: Apache-2.0
// Tiles whose numbers are rounded to bf16, on tensor cores (mma.sync m16n8k16): a warp has 32 lines of the
// left side and all 64 of the right one.
//
// Two neighbours along K are a word of an operand: line l of pair p lies at word p * 64 + (l ^ 8 * (p % 4)).
// The columns of two products side by side are dealt out so that a lane has 4 neighbouring sums of a row.
#include "passes/lowering/gpu/FloatTile.h"
#include "passes/lowering/gpu/Mma.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::gpu {

constexpr int64_t halfRows = 4, halfQuads = 4; // of a thread

/// In 32-bit words.
static Value wordAt(Emitter &e, Value chunk, Value pair, Value line) {
  Value turned = e.bitXor(line, e.mul(e.bitAnd(pair, 3), 8));
  return e.at(chunk, e.add(e.mul(pair, FloatTile::side), turned), e.i32());
}

Value FloatTile::halfM(int64_t row) {
  return e.add(e.add(e.mul(frame.warp(), 32), e.div(frame.lane(), 4)), row / 2 * 16 + row % 2 * 8);
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
  auto words = [&](Value chunk, Value line) {
    Value first = wordAt(e, chunk, t, line); // pairs t and t + 4 are turned alike
    return Two{e.load(e.i32(), first), e.load(e.i32(), e.at(first, 4 * side, e.i32()))};
  };
  std::array<Four, 2> a;
  for (int64_t tile = 0; tile < 2; ++tile) {
    Two upper = words(left, halfM(2 * tile)), lower = words(left, halfM(2 * tile + 1));
    a[tile] = {upper[0], lower[0], upper[1], lower[1]};
  }
  SmallVector<Value> next(sums);
  for (int64_t quad = 0; quad < halfQuads; ++quad) {
    std::array<Two, 2> b;
    for (int64_t part = 0; part < 2; ++part) {
      Value line = e.add(e.mul(e.div(group, 2), 4), e.rem(group, 2));
      b[part] = words(right, e.add(line, quad * 16 + 2 * part));
    }
    for (int64_t tile = 0; tile < 2; ++tile) {
      Value &upper = next[2 * tile * halfQuads + quad], &lower = next[(2 * tile + 1) * halfQuads + quad];
      SmallVector<Value> ofUpper, ofLower;
      for (int64_t part = 0; part < 2; ++part) {
        Four before = {e.extract(upper, 2 * part), e.extract(upper, 2 * part + 1), e.extract(lower, 2 * part),
                       e.extract(lower, 2 * part + 1)};
        Four after = mmaHalf(e, e.bf16(), a[tile], b[part], before);
        ofUpper.append({after[0], after[1]});
        ofLower.append({after[2], after[3]});
      }
      upper = e.pack(ofUpper);
      lower = e.pack(ofLower);
    }
  }
  return next;
}

static_assert(halfRows * halfQuads == FloatTile::rows * FloatTile::quads, "as many sums as without rounding");

} // namespace sinter::gpu
