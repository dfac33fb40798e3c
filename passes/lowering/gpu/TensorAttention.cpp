// SPDX-License-Identifier: Apache-2.0
// kernel.attention prefill on tensor cores (mma.sync m16n8k16), for caches of f16 and bf16: queries and
// weights are rounded to the cache's type, scores and sums are f32.
//
// A tile is one query head and up to 64 rows a turn, 16 a warp. Blocks of keys and values come by cp.async,
// one block ahead. Keys lie in panels (dimension, 16 tokens), values in rows: both are right operands by
// ldmatrix.trans. Scores never leave registers: as weights they are the left operand of the second product as
// they stand.
#include "passes/lowering/gpu/Attention.h"
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/Team.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t tileRows = 64, stages = 2, panel = kernel::cachePanel;

class TensorAttention {
public:
  TensorAttention(Frame &frame, kernel::AttentionOp op) : frame(frame), e(frame.e), shape(op) {
    frame.threads = tileRows / 16 * warpSize;
    // A row's weighted values are in registers: half as many as a head is long.
    frame.blocksPerSm = shape.valueSize <= 64 ? 4 : shape.valueSize <= 128 ? 2 : 1;
    blockKeys = shape.valueSize > 128 || shape.keySize > 128 ? 32 : 64;
    query = frame.allocate(tileRows * shape.keySize * 2);
    keyStage = frame.allocate(stages * blockKeys * shape.keySize * 2);
    valueStage = frame.allocate(stages * blockKeys * shape.valueSize * 2);
  }

  LogicalResult emit() {
    forEachTile(frame, shape.op.getGrid(), [&](Value tileHead, Value rowBegin, Value rowEnd, Value) {
      head = tileHead;
      Value keyHead = e.div(head, shape.group);
      keys = shape.keysOf(frame, rowBegin, keyHead);
      values = shape.valuesOf(frame, rowBegin, keyHead);
      e.loop(rowBegin, rowEnd, tileRows, [&](Value first) {
        emitRows(first, e.min(e.add(first, tileRows), rowEnd));
        e.barrier();
      });
    });
    return success();
  }

private:
  using State = SmallVector<Value>; // 2 maxima, 2 sums, then (value tile, 4)

  void emitRows(Value first, Value end);
  void loadQuery(Value first, Value last);
  void fetch(Value block, Value stage);
  State emitBlock(Value block, Value stage, ValueRange state);
  /// Scores of the warp's rows: (key tile of 8, 4).
  SmallVector<Value> scoresOf(Value block, Value stage);

  int64_t keyTiles() const { return blockKeys / 8; }
  int64_t valueTiles() const { return shape.valueSize / 8; }
  /// Where 16 bytes of a row of `pieces` such lie: lines of 128 bytes are swizzled, so that 8 rows do not
  /// collide.
  Value swizzled(Value row, Value piece, int64_t pieces) {
    if (pieces % 8 == 0)
      piece = e.bitXor(piece, e.rem(row, 8));
    return e.mul(e.add(e.mul(row, pieces), piece), 16);
  }
  /// A line of a panel of keys has two: the second comes first in every other group of four lines.
  Value swizzledKey(Value line, Value half) {
    return e.mul(e.add(e.mul(line, 2), e.bitXor(half, e.rem(e.div(line, 4), 2))), 16);
  }

  Frame &frame;
  Emitter &e;
  AttentionShape shape;
  int64_t blockKeys;
  Value query, keyStage, valueStage;   // shared: (tileRows, key size), (stages, blockKeys, ...)
  Value head, keys, values;            // of the tile
  Value firstPosition, keyEnd;         // of the turn: of its first row; the key after the last row's own
  Value lane, group, inGroup, warpRow; // of the thread; the warp's first row in the turn
};

void TensorAttention::emitRows(Value first, Value end) {
  lane = frame.lane();
  group = e.div(lane, 4);
  inGroup = e.rem(lane, 4);
  warpRow = e.mul(frame.warp(), 16);
  Value last = e.sub(end, 1);
  firstPosition = frame.stepEntry(abi::stepPositions, first);
  keyEnd = e.add(frame.stepEntry(abi::stepPositions, last), 1);
  loadQuery(first, last);
  Value begin = e.alignDown(shape.firstKey(e, firstPosition), panel);
  Value blocks = e.ceilDiv(e.sub(keyEnd, begin), blockKeys);
  fetch(begin, e.constant(0));
  asyncCommit(e);
  State state(2, e.constantF(e.f32(), invisible));
  state.append(2 + valueTiles() * 4, e.constantF(e.f32(), 0));
  state = e.loop(e.constant(0), blocks, 1, state, [&](Value number, ValueRange carried) {
    Value next = e.add(number, 1);
    e.ifThen(e.less(next, blocks), [&] { fetch(e.add(begin, e.mul(next, blockKeys)), e.rem(next, stages)); });
    asyncCommit(e); // the last one is empty
    asyncWait(e, 1);
    e.barrier();
    State added = emitBlock(e.add(begin, e.mul(number, blockKeys)), e.rem(number, stages), carried);
    e.barrier();
    return added;
  });
  for (int64_t r = 0; r < 2; ++r) {
    Value row = e.add(e.add(first, warpRow), e.add(group, 8 * r));
    Value inverse = e.divF(e.constantF(e.f32(), 1), state[2 + r]);
    e.ifThen(e.less(row, end), [&] {
      Value output = e.at(frame.rowOf(shape.op.getOutput(), row), e.mul(head, shape.valueSize), e.f32());
      output = e.at(output, e.mul(inGroup, 2), e.f32());
      for (int64_t tile = 0; tile < valueTiles(); ++tile) {
        size_t place = 4 + tile * 4 + r * 2;
        Value two = e.pack({e.mulF(state[place], inverse), e.mulF(state[place + 1], inverse)});
        e.storeAligned(two, e.at(output, tile * 8, e.f32()));
      }
    });
  }
}

void TensorAttention::loadQuery(Value first, Value last) {
  int64_t pieces = shape.keySize / 8;
  frame.share(e.constant(tileRows * pieces), [&](Value item) {
    Value row = e.div(item, pieces), piece = e.rem(item, pieces);
    Value source = frame.rowOf(shape.op.getQuery(), e.min(e.add(first, row), last));
    source = e.at(source, e.add(e.mul(head, shape.keySize), e.mul(piece, 8)), e.f32());
    SmallVector<Value> numbers;
    for (int64_t i = 0; i < 8; i += 4) {
      Value q = e.loadWide(e.f32(), 4, e.at(source, i, e.f32()));
      q = e.mulF(q, e.constantF(q.getType(), shape.queryFactor()));
      for (int64_t k = 0; k < 4; ++k)
        numbers.push_back(e.extract(q, k));
    }
    e.storeNarrow(e.pack(numbers), shape.element, e.atByte(query, swizzled(row, piece, pieces)));
  });
}

/// Panels of keys and rows of values; beyond the last key that key's again: it is masked, but must be a
/// number.
void TensorAttention::fetch(Value block, Value stage) {
  int64_t pieces = shape.valueSize / 8, lines = shape.keySize;
  Value keyTo = e.atByte(keyStage, e.mul(stage, blockKeys * shape.keySize * 2));
  Value valueTo = e.atByte(valueStage, e.mul(stage, blockKeys * shape.valueSize * 2));
  Value last = e.sub(keyEnd, 1), firstPanel = e.div(block, panel), lastPanel = e.div(last, panel);
  frame.share(e.constant(blockKeys / panel * lines * 2), [&](Value item) {
    Value half = e.rem(item, 2), line = e.div(item, 2); // of all panels
    Value number = e.min(e.add(firstPanel, e.div(line, lines)), lastPanel);
    Value from = e.add(e.mul(number, lines * panel), e.add(e.mul(e.rem(line, lines), panel), e.mul(half, 8)));
    copyAsync(e, e.atByte(keyTo, swizzledKey(line, half)), e.at(keys, from, shape.element), 16);
  });
  frame.share(e.constant(blockKeys * pieces), [&](Value item) {
    Value row = e.div(item, pieces), piece = e.rem(item, pieces);
    Value from = shape.valueAt(frame, values, e.min(e.add(block, row), last), e.mul(piece, 8));
    copyAsync(e, e.atByte(valueTo, swizzled(row, piece, pieces)), from, 16);
  });
}

SmallVector<Value> TensorAttention::scoresOf(Value block, Value stage) {
  Value base = e.atByte(keyStage, e.mul(stage, blockKeys * shape.keySize * 2));
  SmallVector<Value> scores(keyTiles() * 4, e.constantF(e.f32(), 0));
  // 16 dimensions at a time. Lane l names line l % 8 of matrix l / 8. Left: rows 0-7, 8-15 of the first 8
  // dimensions, then of the others. Right: the dimensions 0-7, 8-15 of 8 tokens, then of the next 8.
  Value matrix = e.div(lane, 8), line = e.rem(lane, 8);
  Value queryRow = e.add(warpRow, e.rem(lane, 16));
  scores =
      e.loop(e.constant(0), e.constant(shape.keySize / 16), 1, scores, [&](Value step, ValueRange carried) {
        SmallVector<Value> next(carried);
        Value piece = e.add(e.mul(step, 2), e.div(lane, 16));
        Four left = loadMatrices(e, e.atByte(query, swizzled(queryRow, piece, shape.keySize / 8)));
        Value dimension = e.add(e.mul(step, 16), e.add(e.mul(e.rem(matrix, 2), 8), line));
        Value place = e.atByte(base, swizzledKey(dimension, e.div(matrix, 2)));
        for (int64_t number = 0; number < blockKeys / panel; ++number) {
          Four right = loadMatricesTransposed(e, e.atByte(place, number * shape.keySize * panel * 2));
          for (int64_t half = 0; half < 2; ++half) {
            size_t first = (number * 2 + half) * 4;
            Four sum = {next[first], next[first + 1], next[first + 2], next[first + 3]};
            sum = mmaHalf(e, shape.element, left, {right[2 * half], right[2 * half + 1]}, sum);
            llvm::copy(sum, next.begin() + first);
          }
        }
        return next;
      });
  for (int64_t r = 0; r < 2; ++r) {
    Value position = e.add(firstPosition, e.add(e.add(warpRow, group), 8 * r));
    Value firstSeen = shape.firstKey(e, position);
    for (int64_t tile = 0; tile < keyTiles(); ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value &score = scores[tile * 4 + r * 2 + c];
        Value token = e.add(e.add(block, e.mul(inGroup, 2)), tile * 8 + c);
        score = shape.finishScore(frame, score, head, e.sub(token, position));
        Value isSeen = e.less(token, e.min(e.add(position, 1), keyEnd));
        if (shape.window)
          isSeen = e.both(isSeen, e.less(e.sub(firstSeen, 1), token));
        score = e.select(isSeen, score, e.constantF(e.f32(), invisible));
      }
  }
  return scores;
}

TensorAttention::State TensorAttention::emitBlock(Value block, Value stage, ValueRange carried) {
  Team quad = Team::ofWarp(frame, 4);
  SmallVector<Value> weights = scoresOf(block, stage);
  State state(carried);
  for (int64_t r = 0; r < 2; ++r) {
    Value high;
    for (int64_t tile = 0; tile < keyTiles(); ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value score = weights[tile * 4 + r * 2 + c];
        high = high ? combine(e, vector::CombiningKind::MAXNUMF, high, score) : score;
      }
    high = combine(e, vector::CombiningKind::MAXNUMF, state[r], quad.max(frame, high));
    Value correction = e.exp2(e.subF(state[r], high)), sum = e.constantF(e.f32(), 0);
    for (int64_t tile = 0; tile < keyTiles(); ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value &weight = weights[tile * 4 + r * 2 + c];
        weight = e.exp2(e.subF(weight, high));
        sum = e.addF(sum, weight);
      }
    state[r] = high;
    state[2 + r] = e.fma(state[2 + r], correction, quad.sum(frame, sum));
    for (int64_t tile = 0; tile < valueTiles(); ++tile)
      for (int64_t c = 0; c < 2; ++c) {
        Value &number = state[4 + tile * 4 + r * 2 + c];
        number = e.mulF(number, correction);
      }
  }
  // 16 keys at a time: two tiles of weights are a left operand. Right: keys 0-7, 8-15 of 8 columns, then of
  // the next 8.
  Value base = e.atByte(valueStage, e.mul(stage, blockKeys * shape.valueSize * 2));
  Value matrix = e.div(lane, 8), line = e.rem(lane, 8);
  for (int64_t step = 0; step < blockKeys / 16; ++step) {
    Four left;
    for (int64_t i = 0; i < 4; ++i) { // rows g, g + 8 of the first tile, then of the second
      size_t first = (step * 2 + i / 2) * 4 + i % 2 * 2;
      left[i] = e.bitcast(e.i32(), e.narrow(e.pack({weights[first], weights[first + 1]}), shape.element));
    }
    Value row = e.add(e.add(e.mul(e.rem(matrix, 2), 8), line), step * 16);
    for (int64_t tile = 0; tile < valueTiles(); tile += 2) {
      Value piece = e.add(e.div(matrix, 2), tile);
      Four right = loadMatricesTransposed(e, e.atByte(base, swizzled(row, piece, shape.valueSize / 8)));
      for (int64_t half = 0; half < 2; ++half) {
        size_t first = 4 + (tile + half) * 4;
        Four sum = {state[first], state[first + 1], state[first + 2], state[first + 3]};
        sum = mmaHalf(e, shape.element, left, {right[2 * half], right[2 * half + 1]}, sum);
        llvm::copy(sum, state.begin() + first);
      }
    }
  }
  return state;
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
