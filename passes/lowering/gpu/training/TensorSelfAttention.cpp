// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention with factors rounded to bf16, and what its backward pass shares. 64 or 128 queries,
// 16 a warp, by blocks of keys that one of them sees, with a running maximum. Scores never leave registers:
// as weights they are the left operand of the second product as they stand.
#include "passes/lowering/gpu/training/TensorSelfAttention.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/training/QueryScores.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace sinter::gpu {

//===--- rows in shared memory

HalfRows::HalfRows(Emitter &e, int64_t rows, int64_t columns, int64_t stages)
    : HalfBlock(e, rows, columns, stages), stride((columns / 8 | 1) * 16) {
  assert(rows % 16 == 0 && columns % 16 == 0 && "whole operands");
}

Value HalfRows::place(Value row, Value column) {
  return e.atByte(begin(), e.add(e.mul(row, stride), e.mul(column, 2)));
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

void TensorSelfAttention::forEachRow(const HalfBlock &to, Value argument, Value first, Value ofHead,
                                     int64_t size, int64_t unit, RowBody body) {
  int64_t together = frame.threads / lanesOf(to, unit);
  assert(to.rows % together == 0 && "each thread has as many rows");
  Value thread = bringer();
  Value own = e.div(thread, lanesOf(to, unit)), lane = e.rem(thread, lanesOf(to, unit));
  Value head = e.fresh(ofHead);
  // Most blocks are whole: then rows are as far apart as they are in memory.
  auto choice = scf::IfOp::create(e.b, e.loc, e.less(rows, e.add(first, to.rows)), /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(e.b);
  e.b.setInsertionPointToStart(choice.thenBlock());
  for (int64_t turn = 0; turn < to.rows; turn += together) {
    Value row = e.add(own, turn), line = clamped(e.add(first, row));
    body(row, line, headOf(argument, line, head, size), lane);
  }
  e.b.setInsertionPointToStart(choice.elseBlock());
  Value line = e.add(first, own), source = headOf(argument, line, head, size);
  auto type = cast<kernel::RowsType>(argument.getType());
  int64_t pitch = type.getColumns() * type.getElement().getIntOrFloatBitWidth() / 8;
  for (int64_t turn = 0; turn < to.rows; turn += together)
    body(e.add(own, turn), e.add(line, turn), e.atByte(source, turn * pitch), lane);
}

void TensorSelfAttention::bring(HalfBlock &to, Value argument, Value first, Value ofHead, int64_t size,
                                llvm::function_ref<void(const RowPieces &)> body) {
  constexpr int64_t most = 32; // registers of numbers on their way
  int64_t w = neighbours(size), lanes = lanesOf(to, w), taken = 0;
  forEachRow(to, argument, first, ofHead, size, w, [&](Value row, Value line, Value source, Value lane) {
    RowPieces pieces{.row = row, .line = line, .pieces = {}, .lanes = lanes};
    for (int64_t i = 0; i < to.columns / w / lanes; ++i) {
      Value column = e.mul(e.add(lane, i * lanes), w), from = column;
      if (to.columns > size)
        from = e.min(column, e.constant(size - w));
      Value numbers = e.loadWide(elementOf(argument), w, e.at(source, from, elementOf(argument)));
      if (to.columns > size)
        numbers = e.select(e.less(column, e.constant(size)), numbers, e.zeros(w));
      pieces.pieces.push_back({column, from, numbers});
    }
    for (const Piece &piece : pieces.pieces)
      e.storeNarrow(piece.numbers, e.bf16(), to.place(row, piece.column));
    body(pieces);
    taken += to.columns / lanes;
    if (taken % most == 0) // no number of the rows behind is loaded before
      e.warpBarrier();
  });
}

static bool isCopied(Value argument, int64_t size) { return elementOf(argument).isBF16() && size % 8 == 0; }

void TensorSelfAttention::bring(HalfBlock &to, Value argument, Value first, Value ofHead, int64_t size) {
  constexpr int64_t piece = 8;
  if (!isCopied(argument, size))
    return bring(to, argument, first, ofHead, size, [](const RowPieces &) {});
  hasCopied = true;
  int64_t lanes = lanesOf(to, piece);
  forEachRow(to, argument, first, ofHead, size, piece, [&](Value row, Value, Value source, Value lane) {
    for (int64_t i = 0; i < to.columns / piece / lanes; ++i) {
      Value column = e.mul(e.add(lane, i * lanes), piece), from = column, count;
      if (to.columns > size) {
        from = e.min(column, e.constant(size - piece));
        count = e.select(e.less(column, e.constant(size)), e.constant(16), e.constant(0));
      }
      copyAsync(e, to.place(row, column), e.at(source, from, e.bf16()), 16, count);
    }
  });
}

void TensorSelfAttention::bringKeys(HalfBlock &keys, HalfBlock &values, Value first, Value keyHead) {
  keys.setStage(first);
  values.setStage(first);
  common = bringer();
  bring(keys, key, first, keyHead, keySize);
  bring(values, value, first, keyHead, valueSize);
  common = {};
}

void TensorSelfAttention::awaitCopies() {
  if (!hasCopied)
    return;
  asyncCommit(e);
  asyncWait(e, 0);
}

//===--- products

Numbers TensorSelfAttention::multiplyRows(llvm::function_ref<Four(int64_t)> left, HalfRows &b) {
  Numbers sums(b.rows / 8 * 4, e.constantF(e.f32(), 0));
  b.lane = e.fresh(frame.lane());
  for (int64_t step = 0; step < b.columns / 16; ++step) {
    Four own = left(step);
    for (int64_t row = 0; row < b.rows; row += 16) {
      Four right = b.right(row, step * 16);
      for (int64_t half = 0; half < 2; ++half)
        addProduct(e, e.bf16(), own, {right[2 * half], right[2 * half + 1]}, sums, (row / 8 + half) * 4);
    }
  }
  return sums;
}

void TensorSelfAttention::addWeighted(ValueRange left, HalfRows &b, Value column, Numbers &sums) {
  int64_t tiles = static_cast<int64_t>(sums.size()) / 4;
  b.lane = e.fresh(frame.lane());
  for (int64_t row = 0; row < b.rows; row += 16) {
    Four weights;
    llvm::copy(left.slice(row / 4, 4), weights.begin());
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
                                    Value column) {
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
          e.ifThen(e.less(at, e.constant(size)), [&] { e.storeAligned(stored, place); });
        }
    });
  }
}

void TensorSelfAttention::storeDot(const RowPieces &row, Value output, Value ofHead, Value to) {
  Value other = headOf(output, row.line, e.fresh(ofHead), valueSize), total;
  for (const Piece &piece : row.pieces) {
    int64_t w = cast<VectorType>(piece.numbers.getType()).getDimSize(0);
    Value products = e.mulF(piece.numbers, e.loadWide(e.f32(), w, e.at(other, piece.from, e.f32())));
    Value sum = elementsCombined(e, vector::CombiningKind::ADD, products);
    total = total ? e.addF(total, sum) : sum;
  }
  for (int64_t mask = row.lanes / 2; mask >= 1; mask /= 2)
    total = e.addF(total, e.shuffleXor(total, mask));
  e.ifThen(e.equal(e.rem(e.fresh(frame.thread), row.lanes), e.constant(0)), [&] { e.store(total, to); });
}

//===--- the forward pass

namespace {

/// Queries are operands in registers where sums leave room, else in shared memory. With two stages the next
/// keys and values are on their way while these are multiplied.
class TensorForward : ForwardScores {
public:
  TensorForward(Frame &frame, kernel::SelfAttentionOp op, int64_t ownRows)
      : ForwardScores(frame, op, ownRows, longestHead(op) > 128 ? 32 : 64), areKept(longestHead(op) <= 128),
        stages(areKept ? 2 : 1),
        keys(frame, blockKeys, llvm::alignTo(a.keySize, columnUnit(frame.threads, blockKeys)), stages),
        values(frame, blockKeys, llvm::alignTo(a.valueSize, columnUnit(frame.threads, blockKeys)), stages),
        queries(areKept ? HalfRows(keys, ownRows) : HalfRows(frame, ownRows, keys.columns)) {}

  void emit() {
    forEachQueries([&](Value first) { emitQueries(first); });
  }

private:
  void emitQueries(Value first) {
    e.barrier(); // what the queries before left has been read
    a.bring(queries, a.query, first, a.head, a.keySize);
    Value begin = e.alignDown(describeRows(first), blockKeys);
    settle();
    kept.clear();
    if (areKept) {
      queries.lane = frame.lane();
      for (int64_t step = 0; step < queries.columns / 16; ++step)
        kept.push_back(queries.left(e.sub(firstRow, first), step * 16));
      e.barrier(); // where they were come keys
      bringKeys(begin);
    }
    Value ownEnd = e.min(e.add(firstRow, 16), a.rows), end = e.min(e.add(first, ownRows), a.rows);
    Numbers state = noWeights();
    state.append(values.columns / 8 * 4, e.constantF(e.f32(), 0)); // (8 columns, 4)
    state = forEachKeys(
        begin, ownEnd, end, /*isOne=*/true, state,
        [&](Value firstKey, ValueRange carried) {
          advance(firstKey, end);
          return emitKeys(first, firstKey, carried);
        },
        [&](Value firstKey) { advance(firstKey, end); });
    ArrayRef<Value> all(state);
    finish(all.take_front(4), Numbers(all.drop_front(4)));
  }

  void settle() {
    a.awaitCopies();
    e.barrier();
  }
  void bringKeys(Value firstKey) { a.bringKeys(keys, values, firstKey, e.div(a.head, a.group)); }
  /// Until these keys are there, and the next ones are on their way.
  void advance(Value firstKey, Value end) {
    if (stages == 1) {
      e.barrier(); // the keys before have been multiplied
      bringKeys(firstKey);
      return settle();
    }
    settle();
    Value next = e.add(firstKey, blockKeys);
    e.ifThen(e.less(next, end), [&] { bringKeys(next); });
  }

  Numbers emitKeys(Value first, Value firstKey, ValueRange carried) {
    keys.setStage(firstKey);
    values.setStage(firstKey);
    if (!areKept)
      queries.lane = e.fresh(frame.lane());
    auto left = [&](int64_t step) {
      return areKept ? kept[step] : queries.left(e.sub(firstRow, first), step * 16);
    };
    Numbers scores = a.multiplyRows(left, keys), running(carried.take_front(4)), corrections;
    Value grows = soften(firstKey, scores, running, corrections);
    Numbers sums = whereGrown(grows, carried.drop_front(4), corrections);
    a.addWeighted(a.pairsOf(scores), values, e.constant(0), sums);
    running.append(sums);
    return running;
  }

  const bool areKept;
  const int64_t stages;
  HalfRows keys, values, queries;
  SmallVector<Four> kept; // of the warp's queries, each 16 columns
};

} // namespace

void emitTensorSelfAttention(Frame &frame, kernel::SelfAttentionOp op) {
  int64_t ownRows = ownRowsOf(op, 64);
  if (fitsWarpgroupSelfAttention(frame, op))
    return emitWarpgroupSelfAttention(frame, op, ownRows);
  frame.threads = ownRows / 16 * warpSize;
  frame.blocksPerSm = 2 * 64 / ownRows;
  frame.isCrowded = true;
  TensorForward(frame, op, ownRows).emit();
}

} // namespace sinter::gpu
