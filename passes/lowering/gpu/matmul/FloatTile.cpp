// SPDX-License-Identifier: Apache-2.0
// In shared memory, line l of number k lies at k * 64 + (l ^ 8 * (k / 4 % 4)): neither the stores of numbers
// that come along K nor the reads of quads meet in a bank.
#include "passes/lowering/gpu/matmul/FloatTile.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace sinter::gpu {

FloatTile::FloatTile(Frame &frame, bool rounds, bool isLong)
    : frame(frame), e(frame.e), rounds(rounds), isLong(isLong) {
  assert(frame.threads == threads && "a block of 64 threads");
  stages = frame.allocate(2 * 2 * depth * side * 4);
  threadM = e.div(frame.thread, 8);
  threadN = e.rem(frame.thread, 8);
}

Value FloatTile::m(int64_t row) { return e.add(e.mul(threadM, 4), row / 4 * (side / 2) + row % 4); }
Value FloatTile::n(int64_t quad) { return e.add(e.mul(threadN, 4), quad * (side / 2)); }

Value FloatTile::place(Value shared, Value k, Value line) {
  Value turned = e.bitXor(line, e.mul(e.bitAnd(e.div(k, 4), 3), 8));
  return e.at(shared, e.add(e.mul(k, side), turned), e.f32());
}

void FloatTile::forEachQuad(llvm::function_ref<void(Value, int64_t, Value)> body) {
  for (int64_t number = 0; number < rows * quads; ++number)
    if (rounds)
      body(halfM(number / 4), number, halfN(number % 4));
    else
      body(m(number / quads), number, n(number % quads));
}

void FloatTile::storeQuad(Value quad, Value row, Value n, int64_t width, bool adds) {
  int64_t w = neighbours(width);
  for (int64_t first = 0; first < 4; first += w) {
    Value part = quad, column = e.add(n, first), to = e.at(row, column, e.f32());
    if (w < 4) {
      SmallVector<Value> elements;
      for (int64_t i = 0; i < w; ++i)
        elements.push_back(e.extract(quad, first + i));
      part = e.pack(elements);
    }
    e.ifThen(e.less(column, e.constant(width)), [&] {
      if (adds)
        part = e.addF(e.loadWide(e.f32(), w, to), part);
      e.storeAligned(part, to);
    });
  }
}

void FloatTile::storeTurned(ValueRange sums, Value shared) {
  for (int64_t quad = 0; quad < quads; ++quad)
    for (int64_t i = 0; i < 4; ++i)
      for (int64_t row = 0; row < rows; row += 4) {
        SmallVector<Value> line;
        for (int64_t j = row; j < row + 4; ++j)
          line.push_back(e.extract(sums[j * quads + quad], i));
        e.storeAligned(e.pack(line), place(shared, e.add(n(quad), i), m(row)));
      }
}

static Type elementOf(Emitter &e, const TileSide &side) { return side.isRounded ? e.bf16() : e.f32(); }

SmallVector<FloatTile::Piece> FloatTile::piecesOf(const TileSide &operand) {
  int64_t w = operand.width, across = (operand.alongK ? depth : side) / w, turns = depth / w;
  SmallVector<Piece> pieces;
  for (int64_t turn = 0; turn < turns; ++turn) {
    Value inner = e.mul(e.rem(frame.thread, across), w);
    Value outer = e.add(e.div(frame.thread, across), turn * (threads / across));
    if (operand.alongK) // lines that are neighbours: stored by fours
      outer = e.add(e.mul(e.div(frame.thread, across), turns), turn);
    else if (rounds) // by twos: neighbours along K share a word
      outer = e.add(e.mul(e.div(frame.thread, across), 2), turn / 2 * 2 * (threads / across) + turn % 2);
    pieces.push_back(operand.alongK ? Piece{outer, inner} : Piece{inner, outer});
  }
  return pieces;
}

/// Numbers of the chunk that begins with number `first`.
SmallVector<Value> FloatTile::fetch(const TileSide &operand, Value first) {
  SmallVector<Value> values;
  if (operand.shared)
    return values;
  int64_t w = operand.width;
  auto within = [&](Value number, Value count, bool isAlong) {
    return e.min(number, e.sub(count, isAlong ? w : 1));
  };
  for (const Piece &piece : piecesOf(operand)) {
    // Addresses are made for each chunk: all at once they would take too many registers.
    Value k = e.add(first, piece.k), line = e.fresh(piece.line), inside;
    if (operand.lines)
      line = within(line, operand.lines, !operand.alongK);
    Value value =
        e.loadWide(elementOf(e, operand), w, operand.at(line, within(k, operand.depth, operand.alongK)));
    if (operand.zeroLines)
      inside = e.less(piece.line, operand.lines);
    if (operand.zeroDepth)
      inside = e.both(inside, e.less(k, operand.depth));
    if (inside)
      value = e.select(inside, value, e.zeros(w));
    values.push_back(value);
  }
  return values;
}

FloatTile::Walk FloatTile::walk(const TileSide &operand, Value first) {
  Walk result;
  if (operand.shared)
    return result;
  auto placeOf = [&](const Piece &piece, Value first) {
    Value line = operand.lines ? e.min(piece.line, e.sub(operand.lines, operand.alongK ? 1 : operand.width))
                               : piece.line;
    return operand.at(line, e.add(first, piece.k));
  };
  SmallVector<Piece> pieces = piecesOf(operand);
  for (const Piece &piece : pieces)
    result.places.push_back(placeOf(piece, first));
  auto number = [&](Value pointer) {
    return LLVM::PtrToIntOp::create(e.b, e.loc, e.i64(), pointer).getResult();
  };
  result.distance = e.sub(number(placeOf(pieces[0], e.add(first, depth))), number(result.places[0]));
  if (operand.width > 1)
    return result;
  // 16 pieces: 64 bits for the first one, 32 for each other.
  for (Value place : ArrayRef(result.places).drop_front())
    result.offsets.push_back(
        arith::TruncIOp::create(e.b, e.loc, e.i32(), e.sub(number(place), number(result.places[0]))));
  result.places.truncate(1);
  return result;
}

SmallVector<Value> FloatTile::fetchWhole(const TileSide &operand, ValueRange carried,
                                         ArrayRef<Value> offsets) {
  SmallVector<Value> values, places(carried);
  for (Value offset : offsets)
    places.push_back(e.atByte(places[0], e.extend(e.fresh(offset)))); // else LLVM keeps 64 bits of it
  SmallVector<Piece> pieces;
  if (operand.zeroLines && !operand.shared)
    pieces = piecesOf(operand);
  for (auto [number, place] : llvm::enumerate(places)) {
    Value value = e.loadWide(elementOf(e, operand), operand.width, place);
    if (operand.zeroLines)
      value = e.select(e.less(pieces[number].line, operand.lines), value, e.zeros(operand.width));
    values.push_back(value);
  }
  return values;
}

void FloatTile::put(const TileSide &operand, ValueRange values, Value to) {
  if (operand.shared)
    return;
  if (rounds)
    return putHalves(operand, values, to);
  SmallVector<Piece> pieces = piecesOf(operand);
  if (!operand.alongK) {
    for (auto [piece, value] : llvm::zip(pieces, values))
      e.storeAligned(value, place(to, piece.k, piece.line));
    return;
  }
  for (size_t first = 0; first < pieces.size(); first += 4) {
    Value at = place(to, pieces[first].k, pieces[first].line);
    for (int64_t i = 0; i < operand.width; ++i) { // of one quad along K: turned alike
      SmallVector<Value> lines;
      for (Value value : values.slice(first, 4))
        lines.push_back(e.extract(value, i));
      e.storeAligned(e.pack(lines), e.at(at, i * side, e.f32()));
    }
  }
}

Value FloatTile::chunkAt(const TileSide &operand, int64_t number, Value chunk) {
  constexpr int64_t chunkFloats = depth * side;
  if (operand.shared)
    return e.at(operand.shared, e.mul(chunk, chunkFloats), e.f32());
  Value stage = e.bitAnd(chunk, 1);
  return e.at(stages, e.add(e.mul(stage, 2 * chunkFloats), number * chunkFloats), e.f32());
}

SmallVector<Value> FloatTile::multiplyFloats(Value left, Value right, ValueRange sums) {
  // A loop, and not all written out: what its turns cost beside products is little by then.
  int64_t written = isLong ? 8 : 4;
  return e.loop(e.constant(0), e.constant(depth), written, sums, [&](Value first, ValueRange carried) {
    SmallVector<Value> next(carried);
    for (int64_t k = 0; k < written; ++k) {
      int64_t turned = k / 4 * 4; // quads of lines are turned alike for 4 k
      Value number = e.add(first, turned), fromLeft = place(left, number, m(0)),
            fromRight = place(right, number, n(0));
      std::array<Value, 2> a, b;
      for (int64_t half = 0; half < 2; ++half) {
        int64_t offset = (k - turned) * side + half * side / 2;
        a[half] = e.loadWide(e.f32(), 4, e.at(fromLeft, offset, e.f32()));
        b[half] = e.loadWide(e.f32(), 4, e.at(fromRight, offset, e.f32()));
      }
      for (int64_t row = 0; row < rows; ++row) {
        Value factor = e.splat(e.extract(a[row / 4], row % 4), 4);
        for (int64_t quad = 0; quad < quads; ++quad)
          next[row * quads + quad] = e.fma(factor, b[quad], next[row * quads + quad]);
      }
    }
    return next;
  });
}

SmallVector<Value> FloatTile::multiply(const TileSide &left, const TileSide &right, Value k,
                                       ValueRange sums) {
  auto putBoth = [&](ValueRange ofLeft, ValueRange ofRight, Value chunk) {
    put(left, ofLeft, chunkAt(left, 0, chunk));
    put(right, ofRight, chunkAt(right, 1, chunk));
  };
  /// The sums with a chunk added. Then the next one, which is in registers, is put beside it.
  auto addChunk = [&](Value chunk, ValueRange ofLeft, ValueRange ofRight, ValueRange carried) {
    Value leftChunk = chunkAt(left, 0, chunk), rightChunk = chunkAt(right, 1, chunk);
    SmallVector<Value> next = rounds ? multiplyHalves(leftChunk, rightChunk, carried)
                                     : multiplyFloats(leftChunk, rightChunk, carried);
    putBoth(ofLeft, ofRight, e.add(chunk, 1));
    e.barrier();
    return next;
  };
  Value zero = e.constant(0), chunks = e.ceilDiv(k, depth);
  putBoth(fetch(left, zero), fetch(right, zero), zero);
  e.barrier();

  // Chunks that are followed by a whole one: none of its numbers needs a limit, and its pieces lie in the
  // same way as those before, a distance further.
  bool hasZeros = left.zeroDepth || right.zeroDepth;
  std::optional<int64_t> fixed = getConstantIntValue(k);
  bool isWhole = isLong && fixed && *fixed % depth == 0 && !hasZeros, isLimited = isLong && hasZeros;
  SmallVector<Value> state(sums);
  Value begin = zero;
  if (isWhole || isLimited) {
    Value end = isWhole ? chunks : e.max(e.sub(e.div(k, depth), 1), zero);
    // Behind the last of all chunks: that one again.
    Value second = e.constant(isWhole ? std::min(depth, *fixed - depth) : depth);
    Walk ofLeft = walk(left, second), ofRight = walk(right, second);
    llvm::append_range(state, ofLeft.places);
    llvm::append_range(state, ofRight.places);
    state = e.loop(zero, end, 1, state, [&](Value chunk, ValueRange carried) {
      e.keepRolled();
      ValueRange before = carried.take_front(sums.size()), places = carried.drop_front(sums.size());
      ValueRange inLeft = places.take_front(ofLeft.places.size()), inRight = places.drop_front(inLeft.size());
      SmallVector<Value> leftValues = fetchWhole(left, inLeft, ofLeft.offsets),
                         rightValues = fetchWhole(right, inRight, ofRight.offsets);
      SmallVector<Value> next = addChunk(chunk, leftValues, rightValues, before);
      for (auto [walk, list] : {std::pair(&ofLeft, inLeft), std::pair(&ofRight, inRight)}) {
        Value distance = walk->distance;
        if (isWhole && distance)
          distance = e.select(e.less(e.add(chunk, 2), chunks), distance, e.wide(0));
        for (Value place : list)
          next.push_back(e.atByte(place, distance));
      }
      return next;
    });
    state.truncate(sums.size());
    begin = end;
  }
  if (isWhole)
    return state;
  return e.loop(begin, chunks, 1, state, [&](Value chunk, ValueRange carried) {
    e.keepRolled();
    Value following = e.mul(e.add(chunk, 1), depth); // behind the last one: what there is again
    SmallVector<Value> ofLeft = fetch(left, following), ofRight = fetch(right, following);
    return addChunk(chunk, ofLeft, ofRight, carried);
  });
}

} // namespace sinter::gpu
