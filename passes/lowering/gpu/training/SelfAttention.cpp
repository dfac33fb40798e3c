// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention: a tile is a query head of a sequence. Flash attention (arXiv:2205.14135): for 64
// queries, blocks of 64 keys that one of them sees, with a running maximum; scores and sums are in registers,
// weights pass through shared memory. Values wider than 64 take several rounds, each with 64 of them.
#include "passes/lowering/gpu/training/SelfAttention.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/SelfAttentionScores.h"
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/training/TensorSelfAttention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <numbers>

using namespace mlir;

namespace sinter::gpu {

void SelfAttention::setQueries(Value ofHead, Value begin) {
  head = ofHead;
  firstQuery = begin;
  queryEnd = e.min(e.add(begin, block), rows);
  Value lowestOfThread;
  SmallVector<Value> seen;
  for (int64_t i = 0; i < FloatTile::rows; ++i) {
    Value number = e.add(begin, tile.m(i)), inside = clamped(number);
    Value sees = firstKeyOf(inside);
    lowestOfThread = lowestOfThread ? e.min(lowestOfThread, sees) : sees;
    seen.push_back(e.select(e.less(number, rows), sees, e.add(number, 1)));
  }
  for (int64_t mask = warpSize / 2; mask >= 1; mask /= 2)
    lowestOfThread = e.min(lowestOfThread, e.shuffleXor(lowestOfThread, mask));
  e.barrier(); // the last one's have been read
  e.ifThen(e.equal(frame.lane(), e.constant(0)),
           [&] { e.store(lowestOfThread, e.at(lowest, frame.warp(), e.i32())); });
  e.ifThen(e.equal(tile.column(), e.constant(0)), [&] {
    for (int64_t i = 0; i < FloatTile::rows; ++i) {
      e.store(seen[i], e.at(firstSeen, tile.m(i), e.i32()));
      if (dropout)
        e.store(dropoutKeyOf(clamped(e.add(begin, tile.m(i)))), e.at(keysOfRows, tile.m(i), e.i64()));
    }
  });
  e.barrier();
  least = e.min(e.load(e.i32(), lowest), e.load(e.i32(), e.at(lowest, 1, e.i32())));
  setHead(ofHead);
}

void SelfAttention::recall() {
  row.clear(), first.clear(), dropoutKeys.clear();
  Value begin = queryBegin();
  for (int64_t i = 0; i < FloatTile::rows; ++i) {
    row.push_back(e.add(begin, tile.m(i)));
    first.push_back(e.load(e.i32(), e.at(firstSeen, tile.m(i), e.i32())));
    if (dropout)
      dropoutKeys.push_back(e.load(e.i64(), e.at(keysOfRows, tile.m(i), e.i64())));
  }
}

void SelfAttention::forEachKeys(llvm::function_ref<void(Value)> body) {
  e.loop(e.mul(e.div(least, block), block), queryEnd, block, body);
}

SmallVector<Value>
SelfAttention::forEachKeys(ValueRange carried,
                           llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
  return e.loop(e.mul(e.div(least, block), block), queryEnd, block, carried, body);
}

SmallVector<Value> SelfAttention::products(Value a, Value firstA, Value headA, Value b, Value firstB,
                                           Value headB, int64_t size) {
  auto aAt = [&](Value line, Value k) {
    return e.at(headOf(a, e.add(firstA, line), headA, size), k, elementOf(a));
  };
  auto bAt = [&](Value line, Value k) {
    return e.at(headOf(b, e.add(firstB, line), headB, size), k, elementOf(b));
  };
  Value depth = e.constant(size);
  TileSide left{.width = neighbours(size), .at = aAt, .lines = e.sub(rows, firstA), .depth = depth};
  TileSide right{.width = neighbours(size), .at = bAt, .lines = e.sub(rows, firstB), .depth = depth};
  left.zeroDepth = right.zeroDepth = size % FloatTile::depth;
  left.isRounded = elementOf(a).isBF16(), right.isRounded = elementOf(b).isBF16();
  return tile.multiply(left, right, depth, tile.zeros());
}

SmallVector<Value> SelfAttention::weighted(Value shared, Value argument, Value firstRow, Value ofHead,
                                           int64_t size, Value column, ValueRange sums) {
  auto at = [&](Value line, Value k) {
    return e.at(headOf(argument, e.add(firstRow, k), ofHead, size), e.add(column, line), elementOf(argument));
  };
  TileSide left{.shared = shared};
  TileSide right{
      .alongK = false, .width = neighbours(size), .at = at, .lines = e.sub(e.constant(size), column)};
  right.isRounded = elementOf(argument).isBF16();
  right.depth = e.sub(rows, firstRow); // behind it weights are 0
  return tile.multiply(left, right, e.min(right.depth, e.constant(block)), sums);
}

Value SelfAttention::score(Value products, int64_t i, Value firstKey, Value *capped) {
  Value factor = e.constantF(products.getType(), scoreFactor(scale, cap));
  return selfAttentionScores(e, e.mulF(products, factor), cap, slope, row[i], firstKey, capped);
}

Value SelfAttention::sees(int64_t i, Value firstKey) {
  Value steps = arith::AddIOp::create(e.b, e.loc, e.splat(e.sub(firstKey, first[i]), 4), e.iota(4, e.i32()));
  Value reach = e.splat(e.sub(e.add(row[i], 1), first[i]), 4);
  // first <= key <= row: one unsigned comparison.
  return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, steps, reach);
}

Value SelfAttention::dropoutFactors(int64_t i, Value firstKey) {
  return dropout->factors(dropoutKeys[i], e.extend(e.sub(row[i], firstKey)), -1, 4);
}

namespace {

class Forward {
public:
  Forward(Frame &frame, kernel::SelfAttentionOp op)
      : frame(frame), e(frame.e), a(frame, op), op(op), weights(frame.allocate(FloatTile::sharedBytes)),
        running(frame.allocate(2 * rowCount * FloatTile::threads * 4)) {}

  void emit() {
    forEachTile(frame, op.getGrid(), [&](Value head, Value begin, Value end, Value) {
      SequencePart part = partOf(frame, op.getSequence(), op.getRowsPerTile(), begin, end).mirrored(e);
      a.setSequence(part.sequenceBegin, part.sequenceEnd);
      frame.loopInShared(part.begin, part.end, e.constant(SelfAttention::block), [&](Value first) {
        a.setQueries(head, first);
        e.loop(e.constant(0), e.constant(a.valueSize), FloatTile::side,
               [&](Value column) { emitQueries(column); });
      });
    });
  }

private:
  void emitQueries(Value column) {
    Running rows;
    rows.maximum.assign(rowCount, e.constantF(e.f32(), invisible));
    rows.total.assign(rowCount, e.constantF(e.f32(), 0));
    storeRunning(rows);
    SmallVector<Value> state = a.forEachKeys(a.tile.zeros(), [&](Value firstKey, ValueRange carried) {
      return emitKeys(firstKey, column, carried);
    });
    a.recall();
    rows = loadRunning();
    for (int64_t i = 0; i < rowCount; ++i) {
      Value total = rows.total[i];
      for (int64_t mask = 4; mask >= 1; mask /= 2)
        total = e.addF(total, e.shuffleXor(total, mask));
      Value inverse = e.splat(e.divF(e.constantF(e.f32(), 1), total), 4);
      e.ifThen(e.less(a.row[i], a.rows), [&] {
        Value to = a.headOf(op.getOutput(), a.row[i], a.head, a.valueSize);
        for (int64_t quad = 0; quad < quadCount; ++quad)
          a.tile.storeQuad(e.mulF(state[i * quadCount + quad], inverse), to, e.add(column, a.tile.n(quad)),
                           a.valueSize, /*adds=*/false);
        Value isFirst = e.equal(e.add(a.tile.column(), column), e.constant(0));
        e.ifThen(isFirst, [&] {
          Value logTotal =
              e.mulF(math::LogOp::create(e.b, e.loc, total), e.constantF(e.f32(), std::numbers::log2e));
          e.store(e.addF(rows.maximum[i], logTotal), a.headOf(op.getLogSum(), a.row[i], a.head, 1));
        });
      });
    }
  }

  SmallVector<Value> emitKeys(Value firstKey, Value column, ValueRange carried) {
    SmallVector<Value> state(carried);
    Value keyHead = e.div(a.head, a.group);
    SmallVector<Value> scores =
        a.products(a.query, a.queryBegin(), a.head, a.key, firstKey, keyHead, a.keySize);
    a.recall();
    Running rows = loadRunning();
    for (int64_t i = 0; i < rowCount; ++i) {
      Value &maximum = rows.maximum[i], &total = rows.total[i], highest = maximum;
      for (int64_t quad = 0; quad < quadCount; ++quad) {
        Value &score = scores[i * quadCount + quad], keys = e.add(firstKey, a.tile.n(quad));
        score = e.select(a.sees(i, keys), a.score(score, i, keys), e.constantF(e.vec(4), invisible));
        highest = combine(e, vector::CombiningKind::MAXNUMF, highest,
                          elementsCombined(e, vector::CombiningKind::MAXNUMF, score));
      }
      for (int64_t mask = 4; mask >= 1; mask /= 2)
        highest = combine(e, vector::CombiningKind::MAXNUMF, highest, e.shuffleXor(highest, mask));
      Value correction = e.exp2(e.subF(maximum, highest));
      maximum = highest;
      total = e.mulF(total, correction);
      for (int64_t quad = 0; quad < quadCount; ++quad) {
        Value &score = scores[i * quadCount + quad], &sum = state[i * quadCount + quad];
        score = e.exp2(e.subF(score, e.splat(highest, 4)));
        total = e.addF(total, elementsCombined(e, vector::CombiningKind::ADD, score));
        // Dropout is behind the softmax: the total is of all.
        if (a.dropout)
          score = e.mulF(score, a.dropoutFactors(i, e.add(firstKey, a.tile.n(quad))));
        sum = e.mulF(sum, e.splat(correction, 4));
      }
    }
    storeRunning(rows);
    a.tile.storeTurned(scores, weights);
    e.barrier();
    return a.weighted(weights, a.value, firstKey, keyHead, a.valueSize, column, state);
  }

  /// Of the thread's rows the maximum, and its share of the sum of weights. They are in shared memory while
  /// products are made, which take every register.
  struct Running {
    SmallVector<Value> maximum, total;
  };
  Value runningAt(int64_t quad) {
    return e.at(running, e.mul(e.add(frame.thread, quad * FloatTile::threads), 4), e.f32());
  }
  void storeRunning(const Running &rows) {
    SmallVector<Value> all(rows.maximum);
    llvm::append_range(all, rows.total);
    for (int64_t i = 0; i < 2 * rowCount; i += 4)
      e.storeAligned(e.pack(ArrayRef(all).slice(i, 4)), runningAt(i / 4));
  }
  Running loadRunning() {
    Running rows;
    for (int64_t i = 0; i < 2 * rowCount; i += 4) {
      Value four = e.loadWide(e.f32(), 4, runningAt(i / 4));
      for (int64_t j = 0; j < 4; ++j)
        (i < rowCount ? rows.maximum : rows.total).push_back(e.extract(four, j));
    }
    return rows;
  }

  Frame &frame;
  Emitter &e;
  SelfAttention a;
  kernel::SelfAttentionOp op;
  Value weights, running; // shared memory: (key, query); (quad of rows, thread)
};

} // namespace

LogicalResult emitSelfAttention(Frame &frame, kernel::SelfAttentionOp op) {
  if (fitsTensorSelfAttention(op)) {
    emitTensorSelfAttention(frame, op);
    return success();
  }
  frame.threads = FloatTile::threads;
  frame.blocksPerSm = 4; // 255 registers
  frame.isCrowded = true;
  Forward(frame, op).emit();
  return success();
}

} // namespace sinter::gpu
