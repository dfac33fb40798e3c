// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention with factors rounded to bf16, and what its backward pass shares. A tile is a query
// head of a sequence. 64 queries, 16 a warp, by blocks of keys that one of them sees, with a running maximum.
// Scores never leave registers: as weights they are the left operand of the second product as they stand.
#include "passes/lowering/gpu/training/TensorSelfAttention.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/SelfAttentionScores.h"
#include "passes/lowering/gpu/Team.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <numbers>
#include <numeric>

using namespace mlir;

namespace sinter::gpu {

//===--- rows in shared memory

HalfRows::HalfRows(Frame &frame, int64_t rows, int64_t columns)
    : HalfBlock(rows, columns), e(frame.e), stride((columns / 8 | 1) * 16),
      base(frame.allocate(rows * stride)) {
  assert(rows % 16 == 0 && columns % 16 == 0 && "whole operands");
}

Value HalfRows::place(Value row, Value column) {
  return e.atByte(base, e.add(e.mul(row, stride), e.mul(column, 2)));
}

/// Lane l names line l % 8 of matrix l / 8.
Four HalfRows::matrices(Value firstRow, int64_t row, Value firstColumn, int64_t column, bool isTall,
                        bool isTurned) {
  Value line = e.rem(lane, 16), piece = e.div(lane, 16);
  if (!isTall) {
    line = e.add(e.mul(e.div(lane, 16), 8), e.rem(lane, 8));
    piece = e.rem(e.div(lane, 8), 2);
  }
  Value inRow = e.mul(piece, 8);
  if (firstRow)
    line = e.add(line, firstRow);
  if (firstColumn)
    inRow = e.add(inRow, firstColumn);
  Value address = e.atByte(place(line, inRow), row * stride + column * 2);
  return isTurned ? loadMatricesTransposed(e, address) : loadMatrices(e, address);
}

TensorSelfAttention::Pieces TensorSelfAttention::fetch(const HalfBlock &to, Value argument, Value first,
                                                       Value ofHead, int64_t size) {
  int64_t w = neighbours(size), inRow = to.columns / w, lanes = std::gcd(inRow, warpSize);
  int64_t together = frame.threads / lanes;
  assert(to.rows % together == 0 && "each thread has as many rows");
  Pieces pieces{.all = {}, .perRow = inRow / lanes, .lanes = lanes};
  Value thread = e.fresh(frame.thread); // addresses are made again: in registers products are made
  ofHead = e.fresh(ofHead);
  for (int64_t turn = 0; turn < to.rows; turn += together) {
    Value row = e.add(e.div(thread, lanes), turn), line = clamped(e.add(first, row));
    Value source = headOf(argument, line, ofHead, size);
    for (int64_t i = 0; i < pieces.perRow; ++i) {
      Value column = e.mul(e.add(e.rem(thread, lanes), i * lanes), w), from = column;
      if (to.columns > size)
        from = e.min(column, e.constant(size - w));
      Value numbers = e.loadWide(elementOf(argument), w, e.at(source, from, elementOf(argument)));
      if (to.columns > size)
        numbers = e.select(e.less(column, e.constant(size)), numbers, e.zeros(w));
      pieces.all.push_back({row, line, from, column, numbers});
    }
  }
  return pieces;
}

void TensorSelfAttention::put(HalfBlock &to, const Pieces &pieces) {
  for (const Piece &piece : pieces.all)
    e.storeNarrow(piece.numbers, e.bf16(), to.place(piece.row, piece.column));
}

static bool isCopied(Value argument, int64_t size) { return elementOf(argument).isBF16() && size % 8 == 0; }

void TensorSelfAttention::bring(HalfBlock &to, Value argument, Value first, Value ofHead, int64_t size) {
  constexpr int64_t piece = 8;
  if (!isCopied(argument, size))
    return put(to, fetch(to, argument, first, ofHead, size));
  int64_t inRow = to.columns / piece, lanes = std::gcd(inRow, warpSize), together = frame.threads / lanes;
  assert(to.rows % together == 0 && "each thread has as many rows");
  Value thread = e.fresh(frame.thread);
  for (int64_t turn = 0; turn < to.rows; turn += together) {
    Value row = e.add(e.div(thread, lanes), turn);
    Value source = headOf(argument, clamped(e.add(first, row)), ofHead, size);
    for (int64_t i = 0; i < inRow / lanes; ++i) {
      Value column = e.mul(e.add(e.rem(thread, lanes), i * lanes), piece), from = column, count;
      if (to.columns > size) {
        from = e.min(column, e.constant(size - piece));
        count = e.select(e.less(column, e.constant(size)), e.constant(16), e.constant(0));
      }
      copyAsync(e, to.place(row, column), e.at(source, from, e.bf16()), 16, count);
    }
  }
}

void TensorSelfAttention::awaitCopies() {
  if (!isCopied(query, keySize) && !isCopied(key, keySize) && !isCopied(value, valueSize))
    return;
  asyncCommit(e);
  asyncWait(e, 0);
}

//===--- products

Numbers TensorSelfAttention::multiplyRows(HalfRows &a, Value first, HalfRows &b) {
  Numbers sums(b.rows / 8 * 4, e.constantF(e.f32(), 0));
  a.lane = b.lane = e.fresh(frame.lane());
  for (int64_t column = 0; column < a.columns; column += 16) {
    Four left = a.left(first, column);
    for (int64_t row = 0; row < b.rows; row += 16) {
      Four right = b.right(row, column);
      for (int64_t half = 0; half < 2; ++half)
        addProduct(e, e.bf16(), left, {right[2 * half], right[2 * half + 1]}, sums, (row / 8 + half) * 4);
    }
  }
  return sums;
}

void TensorSelfAttention::addWeighted(llvm::function_ref<Four(int64_t)> left, HalfRows &b, Value column,
                                      Numbers &sums) {
  int64_t tiles = static_cast<int64_t>(sums.size()) / 4;
  b.lane = e.fresh(frame.lane());
  for (int64_t row = 0; row < b.rows; row += 16) {
    Four weights = left(row / 16);
    for (int64_t tile = 0; tile < tiles; tile += 2) {
      Four right = b.rightTurned(row, column, tile * 8);
      for (int64_t half = 0; half < 2; ++half)
        addProduct(e, e.bf16(), weights, {right[2 * half], right[2 * half + 1]}, sums, (tile + half) * 4);
    }
  }
}

Numbers TensorSelfAttention::pairsOf(ValueRange numbers) {
  Numbers pairs;
  for (size_t first = 0; first < numbers.size(); first += 2)
    pairs.push_back(e.bitcast(e.i32(), e.narrow(e.pack({numbers[first], numbers[first + 1]}), e.bf16())));
  return pairs;
}

//===--- rows of the sequence

void TensorSelfAttention::storeRows(ValueRange sums, Value argument, Value first, Value ofHead, int64_t size,
                                    Value column, bool adds) {
  int64_t w = std::min<int64_t>(2, neighbours(size));
  ofHead = e.fresh(ofHead);
  Value lane = e.fresh(frame.lane()), inTile = e.mul(e.rem(lane, 4), 2);
  for (int64_t r = 0; r < 2; ++r) {
    Value row = e.add(e.add(first, e.div(lane, 4)), 8 * r);
    e.ifThen(e.less(row, rows), [&] {
      Value to = headOf(argument, row, ofHead, size);
      for (size_t tile = 0; tile < sums.size() / 4; ++tile)
        for (int64_t c = 0; c < 2; c += w) {
          Value at = e.add(e.add(column, inTile), tile * 8 + c), place = e.at(to, at, e.f32());
          ValueRange numbers = sums.slice(tile * 4 + r * 2 + c, w);
          Value stored = e.pack(SmallVector<Value>(numbers));
          e.ifThen(e.less(at, e.constant(size)), [&] {
            e.storeAligned(adds ? e.addF(e.loadWide(e.f32(), w, place), stored) : stored, place);
          });
        }
    });
  }
}

//===--- the forward pass

namespace {

class TensorForward {
public:
  TensorForward(Frame &frame, kernel::SelfAttentionOp op)
      : frame(frame), e(frame.e), a(frame, op), op(op),
        blockKeys(std::max(a.keySize, a.valueSize) > 128 ? 32 : 64),
        queries(frame, TensorSelfAttention::block, llvm::alignTo(a.keySize, 16)),
        keys(frame, blockKeys, queries.columns), values(frame, blockKeys, llvm::alignTo(a.valueSize, 16)),
        lowest(frame.allocate(4 * frame.warps())) {}

  void emit() {
    forEachTile(frame, op.getGrid(), [&](Value head, Value begin, Value end, Value) {
      SequencePart part = partOf(frame, op.getSequence(), op.getRowsPerTile(), begin, end).mirrored(e);
      a.setSequence(part.sequenceBegin, part.sequenceEnd);
      a.setHead(head);
      e.loop(part.begin, part.end, TensorSelfAttention::block, [&](Value first) { emitQueries(first); });
    });
  }

private:
  void emitQueries(Value first) {
    e.barrier(); // what the queries before left has been read
    a.bring(queries, a.query, first, a.head, a.keySize);
    warpRow = e.mul(frame.warp(), 16);
    Value firstRow = e.add(first, warpRow), least;
    row.clear(), firstSeen.clear(), dropoutKeys.clear();
    for (int64_t r = 0; r < 2; ++r) {
      Value number = e.add(e.add(firstRow, a.laneRow()), 8 * r), inside = a.clamped(number);
      Value sees = a.firstKeyOf(inside);
      row.push_back(number);
      firstSeen.push_back(e.select(e.less(number, a.rows), sees, e.add(number, 1)));
      least = least ? e.min(least, sees) : sees;
      if (a.dropout)
        dropoutKeys.push_back(a.dropoutKeyOf(inside));
    }
    for (int64_t mask = 4; mask < warpSize; mask *= 2) // lanes of a row agree
      least = e.min(least, e.shuffleXor(least, mask));
    e.ifThen(e.equal(frame.lane(), e.constant(0)),
             [&] { e.store(least, e.at(lowest, frame.warp(), e.i32())); });
    e.barrier();
    least = e.load(e.i32(), lowest);
    for (int64_t warp = 1; warp < frame.warps(); ++warp)
      least = e.min(least, e.load(e.i32(), e.at(lowest, warp, e.i32())));

    Numbers state(2, e.constantF(e.f32(), invisible)); // 2 maxima, 2 totals, then (8 columns, 4)
    state.append(2 + values.columns / 8 * 4, e.constantF(e.f32(), 0));
    Value end = e.min(e.add(first, TensorSelfAttention::block), a.rows);
    state = e.loop(e.alignDown(least, blockKeys), end, blockKeys, state,
                   [&](Value firstKey, ValueRange carried) { return emitKeys(firstKey, carried); });
    finish(firstRow, state);
  }

  Numbers emitKeys(Value firstKey, ValueRange carried) {
    Numbers state(carried);
    Value keyHead = e.div(a.head, a.group);
    e.barrier(); // the keys before have been multiplied
    a.bring(keys, a.key, firstKey, keyHead, a.keySize);
    a.bring(values, a.value, firstKey, keyHead, a.valueSize);
    a.awaitCopies();
    e.barrier();
    Numbers scores = a.multiplyRows(queries, warpRow, keys);
    Team quad = Team::ofWarp(frame, 4);
    MutableArrayRef<Value> sums = MutableArrayRef(state).drop_front(4);
    for (int64_t r = 0; r < 2; ++r) {
      Value &maximum = state[r], &total = state[2 + r], highest;
      SmallVector<Value> pairs;
      for (int64_t tile = 0; tile < blockKeys / 8; ++tile) {
        pairs.push_back(score(scores, tile * 4 + 2 * r, r, keyOf(firstKey, tile)));
        Value high = elementsCombined(e, vector::CombiningKind::MAXNUMF, pairs.back());
        highest = highest ? combine(e, vector::CombiningKind::MAXNUMF, highest, high) : high;
      }
      highest = combine(e, vector::CombiningKind::MAXNUMF, maximum, quad.max(frame, highest));
      Value correction = e.exp2(e.subF(maximum, highest));
      maximum = highest;
      total = e.mulF(total, correction);
      for (int64_t tile = 0; tile < blockKeys / 8; ++tile) {
        Value weights = e.exp2(e.subF(pairs[tile], e.splat(highest, 2)));
        total = e.addF(total, elementsCombined(e, vector::CombiningKind::ADD, weights));
        if (a.dropout) // behind the softmax: the total is of all
          weights =
              e.mulF(weights, a.dropout->factors(dropoutKeys[r],
                                                 e.extend(e.sub(row[r], keyOf(firstKey, tile))), -1, 2));
        for (int64_t c = 0; c < 2; ++c)
          scores[tile * 4 + 2 * r + c] = e.extract(weights, c);
      }
      for (size_t tile = 0; tile < sums.size(); tile += 4)
        for (int64_t c = 0; c < 2; ++c)
          sums[tile + 2 * r + c] = e.mulF(sums[tile + 2 * r + c], correction);
    }
    Numbers pairs = a.pairsOf(scores), all(sums.begin(), sums.end());
    auto left = [&](int64_t step) {
      return Four{pairs[4 * step], pairs[4 * step + 1], pairs[4 * step + 2], pairs[4 * step + 3]};
    };
    a.addWeighted(left, values, e.constant(0), all);
    llvm::copy(all, sums.begin());
    return state;
  }

  Value keyOf(Value firstKey, int64_t tile) { return e.add(e.add(firstKey, a.laneColumn()), tile * 8); }

  /// Scores of two neighbouring keys and row r, lowest ones where it does not see them.
  Value score(ValueRange products, int64_t number, int64_t r, Value ofKey) {
    Value two = e.pack({products[number], products[number + 1]});
    two = e.mulF(two, e.constantF(two.getType(), scoreFactor(a.scale, a.cap)));
    two = selfAttentionScores(e, two, a.cap, a.slope, row[r], ofKey);
    // first <= key <= row: one unsigned comparison.
    Value steps =
        arith::AddIOp::create(e.b, e.loc, e.splat(e.sub(ofKey, firstSeen[r]), 2), e.iota(2, e.i32()));
    Value reach = e.splat(e.sub(e.add(row[r], 1), firstSeen[r]), 2);
    Value sees = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, steps, reach);
    return e.select(sees, two, e.constantF(e.vec(2), invisible));
  }

  void finish(Value firstRow, Numbers &state) {
    Team quad = Team::ofWarp(frame, 4);
    MutableArrayRef<Value> sums = MutableArrayRef(state).drop_front(4);
    for (int64_t r = 0; r < 2; ++r) {
      Value total = quad.sum(frame, state[2 + r]), inverse = e.divF(e.constantF(e.f32(), 1), total);
      for (size_t tile = 0; tile < sums.size(); tile += 4)
        for (int64_t c = 0; c < 2; ++c)
          sums[tile + 2 * r + c] = e.mulF(sums[tile + 2 * r + c], inverse);
      e.ifThen(e.both(e.less(row[r], a.rows), e.equal(a.laneColumn(), e.constant(0))), [&] {
        Value logTotal =
            e.mulF(math::LogOp::create(e.b, e.loc, total), e.constantF(e.f32(), std::numbers::log2e));
        e.store(e.addF(state[r], logTotal), a.headOf(op.getLogSum(), row[r], a.head, 1));
      });
    }
    a.storeRows(sums, op.getOutput(), firstRow, a.head, a.valueSize, e.constant(0), /*adds=*/false);
  }

  Frame &frame;
  Emitter &e;
  TensorSelfAttention a;
  kernel::SelfAttentionOp op;
  const int64_t blockKeys;
  HalfRows queries, keys, values;
  Value lowest; // shared memory: the first key that a row of a warp sees
  Value warpRow;
  SmallVector<Value> row, firstSeen,
      dropoutKeys; // of the lane's two rows; behind the row where there is none
};

} // namespace

void emitTensorSelfAttention(Frame &frame, kernel::SelfAttentionOp op) {
  if (fitsWarpgroupSelfAttention(frame, op))
    return emitWarpgroupSelfAttention(frame, op);
  frame.threads = 128;
  frame.blocksPerSm = 2;
  frame.isCrowded = true;
  TensorForward(frame, op).emit();
}

} // namespace sinter::gpu
