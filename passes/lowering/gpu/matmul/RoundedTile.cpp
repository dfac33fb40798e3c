// SPDX-License-Identifier: Apache-2.0
// In shared memory both directions look alike: number a along and c across lies at
//
//   a / 64 * (64 lines across) + c * 128 + ((a % 64 / 8) ^ (c % 8)) * 16 + a % 8 * 2
//
// which wgmma takes as rows of K or, transposed, as lines contiguous along M or N, and so does ldmatrix
// without a conflict.
#include "passes/lowering/gpu/matmul/RoundedTile.h"

#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/Warpgroup.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace sinter::gpu {

/// Numbers that a thread brings at once, and neighbours where they are packed; half a warp.
constexpr int64_t quad = 4, packed = 16, halfWarp = 16;

RoundedTile::RoundedTile(Frame &frame, int64_t m, int64_t n) : m(m), n(n), frame(frame), e(frame.e) {
  assert(frame.threads == threadsFor(m) && "a warpgroup has 64 lines");
  assert(frame.sharedBytes == 0 && "operands of wgmma begin at a multiple of 1024");
  stages = frame.allocate(stageBytesFor(m, n));
}

int64_t RoundedTile::alongBytes(const RoundedSide &side, int64_t along) const {
  int64_t bytes = side.element.isF32() ? 4 : 2;
  return side.isPacked ? along / packed * side.packedBytes + along % packed * bytes : along * bytes;
}

/// Rows: half a warp has 64 neighbours. Panels: a warp has 16 neighbours 8 times, which lie one behind the
/// other, half a warp those that are even or odd across. So each access of global memory is of whole sectors,
/// and half a warp's stores meet in no bank. Number by number, half a warp has 16 neighbours at once, and its
/// other half those 2 lines further, which go to other banks.
RoundedTile::Start RoundedTile::startOf(const RoundedSide &side, Value thread) {
  if (side.width == 1) {
    Value half = e.div(thread, halfWarp), pair = e.rem(e.div(half, 2), 2);
    return {e.rem(thread, halfWarp), e.add(e.add(e.mul(e.div(half, 4), 4), e.mul(e.rem(half, 2), 2)), pair)};
  }
  if (!side.isPacked)
    return {e.mul(e.rem(thread, 16), quad), e.div(thread, 16)};
  Value inWarp = e.add(e.mul(e.rem(e.div(thread, 4), 4), 2), e.rem(e.div(thread, 16), 2));
  return {e.mul(e.rem(thread, 4), quad), e.add(inWarp, e.mul(e.div(thread, warpSize), 8))};
}

RoundedTile::Side RoundedTile::sideOf(const RoundedSide &side, int64_t lines, int64_t stagePlace) {
  int64_t along = side.alongK ? depth : lines, across = side.alongK ? lines : depth;
  int64_t count = along * across / quad / frame.threads;
  int64_t perTurn = side.isPacked ? frame.warps() * 8 : frame.threads / 16, turns = across / perTurn;
  Side result{side, lines, stagePlace, {}, {}, 0};
  Start start = startOf(side, frame.thread);
  Value turned = e.rem(start.across, 8), inLine = e.mul(e.rem(start.along, 8), 2);
  for (int64_t i = 0; i < count; ++i) {
    Piece piece;
    piece.along = i / turns * (side.isPacked ? packed : depth);
    piece.across = i % turns * perTurn;
    // The part of 16 bytes: bits of the turn are above those of the thread.
    Value part = e.bitXor(e.bitXor(e.div(start.along, 8), turned), e.constant(piece.along % 64 / 8));
    int64_t behind = (piece.across + piece.along / 64 * across) * lineBytes;
    for (int64_t further = 0; further < quad / side.width; ++further) { // 16 numbers are two parts
      Value turnedPart = further ? e.bitXor(part, e.constant(2 * further)) : part;
      Value place = e.add(e.add(e.mul(start.across, lineBytes), e.mul(turnedPart, 16)), inLine);
      piece.places.push_back(e.add(place, behind));
    }
    result.pieces.push_back(piece);
  }
  result.from = e.atByte(e.atByte(side.base, e.mul(start.along, side.element.isF32() ? 4 : 2)),
                         e.mul(e.extend(start.across), side.acrossBytes));
  result.chunkBytes = side.alongK ? alongBytes(side, depth) : depth * side.acrossBytes;
  return result;
}

Value RoundedTile::load(const Side &side, Value from) {
  if (side.of.width == 1)
    return e.load(side.of.element, from);
  Value value = e.loadAligned(e.vec(quad, side.of.element), from);
  return side.of.element.isF32() ? value : e.bitcast(e.vec(2, e.i32()), value);
}

Value RoundedTile::join(const Side &side, llvm::function_ref<Value(int64_t)> body) {
  if (side.of.width != 1)
    return body(0);
  SmallVector<Value> numbers;
  for (int64_t i = 0; i < quad; ++i)
    numbers.push_back(body(i * halfWarp));
  Value value = e.pack(numbers);
  return side.of.element.isF32() ? value : e.bitcast(e.vec(2, e.i32()), value);
}

/// Of a chunk that has all its lines and numbers.
Registers RoundedTile::fetchWhole(const Side &side, Value from) {
  Registers values;
  for (const Piece &piece : side.pieces)
    values.push_back(join(side, [&](int64_t further) {
      int64_t along = alongBytes(side.of, piece.along + further);
      return load(side, e.atByte(from, along + piece.across * side.of.acrossBytes));
    }));
  return values;
}

/// Of any chunk: numbers behind the last one are zeros.
Registers RoundedTile::fetch(const Side &side, Value chunk) {
  const RoundedSide &of = side.of;
  Registers values;
  Value first = e.mul(chunk, depth);
  Start start = startOf(of, e.fresh(frame.thread)); // addresses of all pieces would hold registers
  auto loadInside = [&](const Piece &piece, int64_t further) {
    Value along = e.add(start.along, piece.along + further), across = e.add(start.across, piece.across);
    Value &k = of.alongK ? along : across, &line = of.alongK ? across : along;
    k = e.add(k, first);
    Value inside = e.less(k, of.depth);
    if (of.zeroLines)
      inside = e.both(inside, e.less(line, of.lines));
    line = e.min(line, e.sub(of.lines, of.alongK ? 1 : of.width));
    k = e.min(k, e.sub(of.depth, of.alongK ? of.width : 1));
    along = e.max(along, e.constant(0));
    across = e.max(across, of.fewest ? of.fewest : e.constant(0));
    Value bytes = e.mul(e.extend(across), of.acrossBytes);
    int64_t size = of.element.isF32() ? 4 : 2;
    if (of.isPacked) {
      bytes = e.add(bytes, e.mul(e.extend(e.div(along, packed)), of.packedBytes));
      along = e.rem(along, packed);
    }
    Value value = load(side, e.atByte(of.base, e.add(bytes, e.extend(e.mul(along, size)))));
    Value none = of.width == 1        ? e.constantF(of.element, 0)
                 : of.element.isF32() ? e.zeros(quad)
                                      : e.bitcast(e.vec(2, e.i32()), e.zeros(2));
    return e.select(inside, value, none);
  };
  for (const Piece &piece : side.pieces)
    values.push_back(join(side, [&](int64_t further) { return loadInside(piece, further); }));
  return values;
}

void RoundedTile::put(const Side &side, ValueRange values, Value stage) {
  Value to = e.atByte(stages, e.add(stage, side.stagePlace));
  for (auto [piece, value] : llvm::zip(side.pieces, values)) {
    Value words =
        side.of.element.isF32() ? e.bitcast(e.vec(2, e.i32()), e.narrow(value, e.bf16())) : Value(value);
    if (side.of.width != 1) {
      e.storeAligned(words, e.atByte(to, piece.places[0]));
      continue;
    }
    Value numbers = e.bitcast(e.vec(quad, e.bf16()), words);
    for (auto [number, place] : llvm::enumerate(piece.places))
      e.store(e.extract(numbers, number), e.atByte(to, place));
  }
}

Registers RoundedTile::multiplyChunk(const Side &left, const Side &right, Value stage, ValueRange sums) {
  Value at = e.atByte(stages, stage);
  return hasGroups() ? multiplyGroup(left, right, at, sums) : multiplySync(left, right, at, sums);
}

Value RoundedTile::matricesAt(const Side &side, Value line, bool isLeft) {
  Value lane = frame.lane(), inMatrix = e.rem(lane, 8), low = e.rem(e.div(lane, 8), 2),
        high = e.div(lane, 16);
  // Which 8 lines and which 8 k of the 16 x 16 the lane's matrix has.
  Value lines = isLeft ? low : high, k = isLeft ? high : low;
  Value across, part;
  if (side.of.alongK) {
    across = e.add(e.add(line, e.mul(lines, 8)), inMatrix);
    part = e.bitXor(k, inMatrix);
  } else {
    // The next 64 lines lie behind the k of these.
    across = e.add(e.add(e.mul(e.div(line, 64), depth), e.mul(k, 8)), inMatrix);
    part = e.bitXor(e.bitXor(e.div(e.rem(line, 64), 8), lines), inMatrix);
  }
  return e.add(e.add(e.mul(across, lineBytes), e.mul(part, 16)), side.stagePlace);
}

/// sums: (16 rows, 8 columns, 4).
Registers RoundedTile::multiplySync(const Side &left, const Side &right, Value at, ValueRange sums) {
  Registers next(sums);
  int64_t rowTiles = warpRows() / 16, columnTiles = warpColumns() / 16;
  /// Matrices of 16 lines and 16 k: `tile` lines further, and `step`.
  auto matrices = [&](const Side &side, Value first, int64_t tile, int64_t step) {
    // What is turned by the swizzle, and what is not.
    int64_t turned = (side.of.alongK ? step : tile) * 32,
            behind = (side.of.alongK ? tile : step) * 16 * lineBytes;
    Value place = e.atByte(e.atByte(at, e.bitXor(first, e.constant(turned))), behind);
    return side.of.alongK ? loadMatrices(e, place) : loadMatricesTransposed(e, place);
  };
  Value ofLeft = matricesAt(left, warpM(), true), ofRight = matricesAt(right, warpN(), false);
  for (int64_t step = 0; step < depth / 16; ++step) {
    SmallVector<Four> columns;
    for (int64_t tile = 0; tile < columnTiles; ++tile)
      columns.push_back(matrices(right, ofRight, tile, step));
    for (int64_t tile = 0; tile < rowTiles; ++tile) {
      Four rows = matrices(left, ofLeft, tile, step);
      for (int64_t column = 0; column < columnTiles * 2; ++column) {
        const Four &both = columns[column / 2];
        int64_t half = column % 2 * 2;
        addProduct(e, e.bf16(), rows, {both[half], both[half + 1]}, next,
                   (tile * columnTiles * 2 + column) * 4);
      }
    }
  }
  return next;
}

Registers RoundedTile::multiplyGroup(const Side &left, const Side &right, Value at, ValueRange sums) {
  constexpr int64_t steps = depth / 16, block = 64 * lineBytes;
  Value mine = e.atByte(e.atByte(at, left.stagePlace), e.mul(e.div(frame.warp(), 4), block));
  auto describe = [&](const Side &side, Value from) {
    return side.of.alongK ? describeRows(e, from) : describeColumns(e, from, block);
  };
  Value ofLeft = describe(left, mine), ofRight = describe(right, e.atByte(at, right.stagePlace));
  auto further = [](const Side &side, int64_t step) { return step * 16 * (side.of.alongK ? 2 : lineBytes); };
  Registers next = fenceRegisters(e, sums);
  for (int64_t step = 0; step < steps; ++step)
    next = multiplyShared(e, e.bf16(), describeFurther(e, ofLeft, further(left, step)),
                          describeFurther(e, ofRight, further(right, step)), Value(), next, !left.of.alongK,
                          !right.of.alongK);
  commitProducts(e);
  return next;
}

/// While chunk c is multiplied chunk c + 1, in registers, becomes the other stage, and chunk c + 2 is asked
/// for.
Registers RoundedTile::multiplyChunks(const Side &left, const Side &right, Value chunks, bool areWhole,
                                      Value wholeChunks) {
  int64_t stageBytes = stageBytesFor(m, n) / 2;
  const Side *sides[] = {&left, &right};
  Value zero = e.constant(0);
  auto fetchAll = [&](Value chunk, ValueRange from, bool isWhole) {
    Registers values;
    for (auto [number, side] : llvm::enumerate(sides))
      llvm::append_range(values, isWhole ? fetchWhole(*side, from[number]) : fetch(*side, chunk));
    return values;
  };
  auto fetchBoth = [&](Value chunk, ValueRange from) {
    if (!areWhole || !wholeChunks)
      return fetchAll(chunk, from, areWhole);
    SmallVector<Type> types;
    for (const Side *side : sides)
      types.append(side->pieces.size(), side->of.element.isF32() ? e.vec(quad, e.f32()) : e.vec(2, e.i32()));
    auto choice = scf::IfOp::create(e.b, e.loc, types, e.less(chunk, wholeChunks), /*withElse=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    for (bool isWhole : {true, false}) {
      e.b.setInsertionPointToStart(isWhole ? choice.thenBlock() : choice.elseBlock());
      scf::YieldOp::create(e.b, e.loc, fetchAll(chunk, from, isWhole));
    }
    return Registers(choice.getResults());
  };
  /// Both sides' pieces of a chunk; if there is none, `others`.
  auto fetchNext = [&](Value chunk, ValueRange from, ValueRange others) {
    auto choice = scf::IfOp::create(e.b, e.loc, others.getTypes(), e.less(chunk, chunks), /*withElse=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(choice.thenBlock());
    scf::YieldOp::create(e.b, e.loc, fetchBoth(chunk, from));
    e.b.setInsertionPointToStart(choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, others);
    return Registers(choice.getResults());
  };
  auto advance = [&](ValueRange from) { // to the next chunk
    Registers next;
    for (auto [number, place] : llvm::enumerate(from))
      next.push_back(e.atByte(place, sides[number]->chunkBytes));
    return next;
  };
  auto putBoth = [&](ValueRange values, Value stage) {
    put(left, values.take_front(left.pieces.size()), stage);
    put(right, values.drop_front(left.pieces.size()), stage);
    if (hasGroups())
      fenceAsyncShared(e);
  };
  Registers from;
  if (areWhole)
    from = {left.from, right.from};
  Registers first = fetchBoth(zero, from);
  putBoth(first, zero);
  from = advance(from);
  Registers state(m * n / frame.threads, e.constantF(e.f32(), 0));
  size_t sumCount = state.size(), valueCount = left.pieces.size() + right.pieces.size();
  llvm::append_range(state, fetchNext(e.constant(1), from, first));
  llvm::append_range(state, advance(from));
  e.barrier();
  state = e.loop(zero, chunks, 1, state, [&](Value chunk, ValueRange before) {
    e.keepRolled();
    ValueRange sums = before.take_front(sumCount), values = before.slice(sumCount, valueCount),
               places = before.drop_front(sumCount + valueCount);
    Value odd = e.bitAnd(chunk, 1);
    Registers next = multiplyChunk(left, right, e.mul(odd, stageBytes), sums);
    e.ifThen(e.less(e.add(chunk, 1), chunks),
             [&] { putBoth(values, e.sub(e.constant(stageBytes), e.mul(odd, stageBytes))); });
    Registers fetched = fetchNext(e.add(chunk, 2), places, values);
    if (hasGroups())
      next = waitProducts(e, next, {});
    e.barrier();
    llvm::append_range(next, fetched);
    llvm::append_range(next, advance(places));
    return next;
  });
  state.truncate(sumCount);
  return state;
}

Registers RoundedTile::multiply(const RoundedSide &left, const RoundedSide &right, Value k, bool hasTail) {
  Side ofLeft = sideOf(left, m, 0), ofRight = sideOf(right, n, m * lineBytes);
  Value chunks = e.ceilDiv(k, depth);
  Value isWhole = e.both(e.less(e.constant(m - 1), left.lines), e.less(e.constant(n - 1), right.lines));
  Value wholeChunks = hasTail ? e.div(k, depth) : Value();
  if (!hasTail)
    isWhole = e.both(isWhole, e.both(e.equal(e.rem(k, depth), e.constant(0)), e.less(e.constant(0), k)));
  SmallVector<Type> types(m * n / frame.threads, e.f32());
  auto choice = scf::IfOp::create(e.b, e.loc, types, isWhole, /*withElseRegion=*/true);
  for (bool areWhole : {true, false}) {
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPointToStart(areWhole ? choice.thenBlock() : choice.elseBlock());
    scf::YieldOp::create(e.b, e.loc, multiplyChunks(ofLeft, ofRight, chunks, areWhole, wholeChunks));
  }
  return Registers(choice.getResults());
}

void RoundedTile::forEachPair(ValueRange sums, llvm::function_ref<void(int64_t, int64_t, Value)> body) {
  int64_t perRow = warpColumns() / 8;
  for (int64_t product = 0; product < static_cast<int64_t>(sums.size()) / 4; ++product)
    for (int64_t half = 0; half < 2; ++half)
      body(product / perRow * 16 + half * 8, product % perRow * 8,
           e.pack({sums[product * 4 + 2 * half], sums[product * 4 + 2 * half + 1]}));
}

} // namespace sinter::gpu
