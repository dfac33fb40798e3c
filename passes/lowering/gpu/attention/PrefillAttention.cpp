// SPDX-License-Identifier: Apache-2.0
// kernel.attention prefill by multiply-adds in f32: a tile is one query head and a block of rows, consecutive
// tokens of one sequence. Flash attention: strips of 16 rows go over blocks of 32 keys; 8 neighbouring lanes
// have a row, each 4 keys of the block and every eighth quartet of the values' columns. Weights pass through
// shared memory.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/attention/Attention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t strip = 16, blockKeys = 32, keysOfThread = 4, lanesOfRow = blockKeys / keysOfThread;

class PrefillAttention {
public:
  PrefillAttention(Frame &frame, kernel::AttentionOp op) : frame(frame), e(frame.e), shape(op) {
    frame.threads = strip * lanesOfRow;
    frame.blocksPerSm = shape.valueSize <= 128 ? 6 : 4;
    columns = shape.valueSize % 4 ? 1 : 4;
    quartets = llvm::divideCeil(shape.valueSize, columns * lanesOfRow);
    query = frame.allocate(strip * shape.keySize * 4);
    weights = frame.allocate(strip * blockKeys * 4);
  }

  LogicalResult emit() {
    forEachTile(frame, shape.op.getGrid(), [&](Value head, Value rowBegin, Value rowEnd, Value) {
      Value keyHead = e.div(head, shape.group);
      Value slot = frame.stepEntry(abi::stepSlots, rowBegin);
      keys = shape.keysOf(frame, slot, keyHead);
      values = shape.valuesOf(frame, slot, keyHead);
      e.loop(rowBegin, rowEnd, strip, [&](Value first) {
        emitStrip(head, first, e.min(e.add(first, strip), rowEnd));
        e.barrier();
      });
    });
    return success();
  }

private:
  void emitStrip(Value head, Value first, Value end);
  SmallVector<Value> emitBlock(Value block, Value end, ValueRange state);
  /// The score of this thread's row and each of its keys.
  SmallVector<Value> scoresOf(Value token, Value end);

  Frame &frame;
  Emitter &e;
  AttentionShape shape;
  int64_t columns, quartets;
  Value query, weights;                   // shared: (strip, key size), (strip, blockKeys)
  Value keys, values;                     // of the tile
  Value head, line, lane, position, mine; // of the thread: its row in the strip, ..., where its query begins
};

void PrefillAttention::emitStrip(Value tileHead, Value first, Value end) {
  head = tileHead;
  line = e.div(frame.thread, lanesOfRow);
  lane = e.rem(frame.thread, lanesOfRow);
  Value last = e.sub(end, 1), row = e.min(e.add(first, line), last),
        isInside = e.less(e.add(first, line), end);
  frame.share(e.constant(strip * shape.keySize), [&](Value i) {
    Value from = e.min(e.add(first, e.div(i, shape.keySize)), last);
    Type type = shape.op.getQuery().getType().getElement();
    Value source = e.at(frame.rowOf(shape.op.getQuery(), from), e.mul(head, shape.keySize), type);
    Value q = e.extract(e.loadWide(type, 1, e.at(source, e.rem(i, shape.keySize), type)), 0);
    e.store(e.mulF(q, e.constantF(e.f32(), shape.queryFactor())), e.at(query, i, e.f32()));
  });
  e.barrier();
  position = frame.stepEntry(abi::stepPositions, row);
  mine = e.at(query, e.mul(line, shape.keySize), e.f32());
  // Rows are neighbours: the first one sees the first key, the last one the last.
  Value begin =
      e.alignDown(shape.firstKey(e, frame.stepEntry(abi::stepPositions, first)), kernel::cachePanel);
  Value keyEnd = e.add(frame.stepEntry(abi::stepPositions, last), 1);
  SmallVector<Value> state = {e.constantF(e.f32(), invisible), e.constantF(e.f32(), 0)};
  state.append(quartets, e.zeros(columns));
  state = e.loop(begin, keyEnd, blockKeys, state,
                 [&](Value block, ValueRange carried) { return emitBlock(block, keyEnd, carried); });
  Value inverse = e.splat(e.divF(e.constantF(e.f32(), 1), state[1]), columns);
  Value output = e.at(frame.rowOf(shape.op.getOutput(), row), e.mul(head, shape.valueSize), e.f32());
  for (int64_t i = 0; i < quartets; ++i) {
    Value column = e.mul(e.add(lane, i * lanesOfRow), columns);
    Value store = e.both(isInside, e.less(column, e.constant(shape.valueSize)));
    e.ifThen(store, [&] { e.storeAligned(e.mulF(state[2 + i], inverse), e.at(output, column, e.f32())); });
  }
}

SmallVector<Value> PrefillAttention::scoresOf(Value token, Value end) {
  // The last quartet that has a key: those beyond are masked, but must not be read.
  Value safe = e.min(token, e.alignDown(e.sub(end, 1), keysOfThread));
  Value key = shape.keyAt(frame, keys, safe);
  int64_t n = shape.keySize % 4 ? 1 : 4;
  SmallVector<Value> products(keysOfThread, e.constantF(e.f32(), 0));
  products = e.loop(e.constant(0), e.constant(shape.keySize), n, products, [&](Value d, ValueRange carried) {
    SmallVector<Value> next(carried);
    Value q = e.loadWide(e.f32(), n, e.at(mine, d, e.f32())),
          from = e.at(key, e.mul(d, kernel::cachePanel), shape.element);
    for (int64_t i = 0; i < n; ++i) {
      Value k = e.loadWide(shape.element, keysOfThread, e.at(from, i * kernel::cachePanel, shape.element));
      for (int64_t t = 0; t < keysOfThread; ++t)
        next[t] = e.fma(e.extract(q, i), e.extract(k, t), next[t]);
    }
    return next;
  });
  Value firstSeen = shape.firstKey(e, position);
  for (int64_t t = 0; t < keysOfThread; ++t) {
    Value at = e.add(token, t);
    Value score = shape.finishScore(frame, products[t], head, e.sub(at, position));
    Value isSeen = e.both(e.less(at, e.add(position, 1)), e.less(e.sub(firstSeen, 1), at));
    products[t] = e.select(isSeen, score, e.constantF(e.f32(), invisible));
  }
  return products;
}

/// `state`: running maximum, sum, and weighted values of the thread's columns.
SmallVector<Value> PrefillAttention::emitBlock(Value block, Value end, ValueRange state) {
  Team row = Team::ofWarp(frame, lanesOfRow);
  SmallVector<Value> scores = scoresOf(e.add(block, e.mul(lane, keysOfThread)), end);
  Value high = scores[0];
  for (Value score : ArrayRef(scores).drop_front())
    high = combine(e, vector::CombiningKind::MAXNUMF, high, score);
  high = combine(e, vector::CombiningKind::MAXNUMF, state[0], row.max(frame, high));
  Value correction = e.exp2(e.subF(state[0], high)), sum = e.constantF(e.f32(), 0);
  for (Value &score : scores) {
    score = e.exp2(e.subF(score, high));
    sum = e.addF(sum, score);
  }
  sum = e.fma(state[1], correction, row.sum(frame, sum));
  Value place = e.at(weights, e.mul(line, blockKeys), e.f32());
  e.warpBarrier(); // the last block's are read
  e.storeAligned(e.pack(scores), e.at(place, e.mul(lane, keysOfThread), e.f32()));
  e.warpBarrier();

  SmallVector<Value> next = {high, sum}, accumulators;
  for (int64_t i = 0; i < quartets; ++i)
    accumulators.push_back(e.mulF(state[2 + i], e.splat(correction, columns)));
  Value count = e.min(e.sub(end, block), e.constant(blockKeys));
  accumulators = e.loop(e.constant(0), count, 1, accumulators, [&](Value t, ValueRange carried) {
    SmallVector<Value> added;
    Value weight = e.splat(e.load(e.f32(), e.at(place, t, e.f32())), columns);
    for (int64_t i = 0; i < quartets; ++i) {
      Value column = e.mul(e.add(lane, i * lanesOfRow), columns);
      column = e.min(column, e.constant(shape.valueSize - columns));
      Value v = e.loadWide(shape.element, columns, shape.valueAt(frame, values, e.add(block, t), column));
      added.push_back(e.fma(weight, v, carried[i]));
    }
    return added;
  });
  next.append(accumulators);
  return next;
}

} // namespace

LogicalResult emitPrefillAttention(Frame &frame, kernel::AttentionOp op) {
  if (!fitsTensorAttention(op))
    return PrefillAttention(frame, op).emit();
  if (frame.e.architecture != Architecture::Sm90)
    return emitTensorAttention(frame, op);
  // Two warpgroups have no turns to take where a tile has the rows of one.
  constexpr int64_t groupRows = 64;
  kernel::ScheduleAttr schedule = op.getScheduleAttr();
  int64_t streams = schedule ? schedule.getStreams() : 0;
  if (!streams)
    streams = op.getGrid().rowsPerTile > groupRows ? 2 : 1;
  if (streams > 2)
    return op.emitOpError() << "expected a schedule of 1 or 2 streams for sm_90a, found " << streams;
  return streams == 1 ? emitWarpgroupAttention(frame, op) : emitPingPongAttention(frame, op);
}

} // namespace sinter::gpu
