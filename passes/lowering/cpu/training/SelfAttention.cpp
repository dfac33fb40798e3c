// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention: a tile is a query head of a sequence. Flash attention (arXiv:2205.14135): for each
// block of queries, blocks of keys that one of them sees, with a running maximum.
#include "passes/lowering/cpu/training/SelfAttention.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/cpu/Emitters.h"
#include "passes/lowering/cpu/matmul/TileProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include <numbers>

using namespace mlir;

namespace sinter::cpu {

void SelfAttention::findFirsts(Value rowBegin, Value rows) {
  e.loop(e.constant(0), rows, 1, [&](Value row) {
    Value position = frame.stepEntry(abi::stepPositions, e.add(rowBegin, row));
    // Whatever positions say, no row of another sequence.
    Value first = e.max(e.sub(row, position), e.constant(0));
    if (window)
      first = e.max(first, e.sub(e.add(row, 1), window));
    e.store(first, e.at(firsts, row, e.i64()));
  });
}

Value SelfAttention::leastFirst(Value begin, Value end) {
  return e.loop(begin, end, 1, {begin}, [&](Value row, ValueRange carried) {
    return SmallVector<Value>{e.min(carried[0], firstOf(row))};
  })[0];
}

Value SelfAttention::headOf(Value argument, Value row, Value head, int64_t size) {
  return e.at(frame.rowOf(argument, row), e.mul(head, size), elementOf(argument));
}

void SelfAttention::transpose(Value argument, Value rowBegin, Value rows, Value head, int64_t size,
                              Value to) {
  int64_t columns = cast<kernel::RowsType>(argument.getType()).getColumns();
  Type element = elementOf(argument);
  Value from = headOf(argument, rowBegin, head, size);
  Value blocks = e.ceilDiv(rows, attentionBlock);
  e.loop(e.constant(0), blocks, 1, [&](Value block) {
    Value target = e.at(to, e.mul(block, attentionBlock * size), e.f32());
    Value first = e.mul(block, attentionBlock), count = e.min(e.sub(rows, first), e.constant(attentionBlock));
    e.loop(e.constant(0), e.constant(size), 1, [&](Value d) {
      Value line = e.at(target, e.mul(d, attentionBlock), e.f32());
      Value source = e.at(e.at(from, e.mul(first, columns), element), d, element);
      e.loop(e.constant(0), count, 1, [&](Value t) {
        e.store(e.loadWide(element, e.at(source, e.mul(t, columns), element)), e.at(line, t, e.f32()));
      });
      e.loop(count, e.constant(attentionBlock), 1,
             [&](Value t) { e.store(e.constantF(e.f32(), 0), e.at(line, t, e.f32())); });
    });
  });
}

void SelfAttention::copyQueries(Value rowBegin, Value rows, Value head, Value to) {
  double factor = scoreFactor(scale, cap);
  Type element = elementOf(query);
  e.loop(e.constant(0), rows, 1, [&](Value row) {
    Value from = headOf(query, e.add(rowBegin, row), head, keySize),
          place = e.at(to, e.mul(row, keySize), e.f32());
    for (Segment segment : segmentsOf(keySize, lanes)) {
      Value q = e.loadWide(element, segment.n, e.at(from, segment.first, element));
      e.store(e.mulF(q, e.constantF(q.getType(), factor)), e.at(place, segment.first, e.f32()));
    }
  });
}

Value SelfAttention::slopeOf(Value head) {
  if (!slopes)
    return {};
  Value slope = e.load(e.f32(), e.at(frame.buffer(slopes), head, e.f32()));
  return e.mulF(slope, e.constantF(e.f32(), std::numbers::log2e));
}

Value SelfAttention::sees(Value row, Value first, Value firstKey) {
  Value steps = arith::AddIOp::create(e.b, e.loc, e.splat(e.toI32(e.sub(firstKey, first)), lanes),
                                      e.iota(lanes, e.i32()));
  Value reach = e.splat(e.toI32(e.sub(e.add(row, 1), first)), lanes);
  // first <= key <= row: one unsigned comparison.
  return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, steps, reach);
}

namespace {

class Forward {
public:
  Forward(Frame &frame, kernel::SelfAttentionOp op) : frame(frame), e(frame.e), a(frame, op), op(op) {
    keys = frame.allocate(a.transposedBytes(a.keySize));
    queries = frame.allocate(attentionBlock * a.keySize * 4);
    sums = frame.allocate(attentionBlock * a.valueSize * 4);
    scores = frame.allocate(attentionBlock * attentionBlock * 4);
    maxima = frame.allocate(attentionBlock * 4);
    totals = frame.allocate(attentionBlock * 4);
  }

  void emit() {
    forEachTile(frame, op.getGrid(), [&](Value tileHead, Value begin, Value end, Value) {
      head = tileHead;
      rowBegin = begin;
      Value rows = e.sub(end, begin), keyHead = e.div(head, a.group);
      a.findFirsts(begin, rows);
      a.transpose(a.key, begin, rows, keyHead, a.keySize, keys);
      values = a.headOf(a.value, begin, keyHead, a.valueSize);
      e.loop(e.constant(0), rows, attentionBlock,
             [&](Value block) { emitQueries(block, e.min(e.add(block, attentionBlock), rows)); });
    });
  }

private:
  Value floatAt(Value base, Value index) { return e.at(base, index, e.f32()); }

  void emitQueries(Value begin, Value end) {
    Value rows = e.sub(end, begin);
    a.copyQueries(e.add(rowBegin, begin), rows, head, queries);
    e.loop(e.constant(0), rows, 1, [&](Value row) {
      Value sum = floatAt(sums, e.mul(row, a.valueSize));
      for (Segment segment : segmentsOf(a.valueSize, a.lanes))
        e.store(e.zeros(segment.n), e.at(sum, segment.first, e.f32()));
      e.store(e.constantF(e.f32(), invisible), floatAt(maxima, row));
      e.store(e.constantF(e.f32(), 0), floatAt(totals, row));
    });
    Value first = e.alignDown(a.leastFirst(begin, end), attentionBlock);
    e.loop(first, end, attentionBlock, [&](Value block) {
      emitTileProduct(e,
                      {queries, a.keySize, 1, floatAt(keys, e.mul(block, a.keySize)), attentionBlock, scores,
                       attentionBlock, attentionBlock},
                      rows, e.constant(a.keySize));
      e.loop(e.constant(0), rows, 1, [&](Value row) { weigh(row, e.add(begin, row), block); });
      int64_t columns = cast<kernel::RowsType>(a.value.getType()).getColumns();
      emitTileProduct(e,
                      {scores, attentionBlock, 1, e.at(values, e.mul(block, columns), elementOf(a.value)),
                       columns, sums, a.valueSize, a.valueSize, /*adds=*/true, elementOf(a.value)},
                      rows, e.min(e.sub(end, block), e.constant(attentionBlock)));
    });
    e.loop(e.constant(0), rows, 1, [&](Value row) { finish(row, e.add(e.add(rowBegin, begin), row)); });
  }

  /// The scores of a row become weights 2^(score - maximum); what came before is corrected.
  void weigh(Value row, Value inSequence, Value block) {
    Value place = floatAt(scores, e.mul(row, attentionBlock)), first = a.firstOf(inSequence),
          slope = a.slopeOf(head);
    Value old = e.load(e.f32(), floatAt(maxima, row)), high = e.splat(old, a.lanes);
    high = e.loop(
        e.constant(0), e.constant(attentionBlock), a.lanes, {high}, [&](Value column, ValueRange carried) {
          Value key = e.add(block, column), at = floatAt(place, column);
          Value score = a.score(e.load(e.vec(a.lanes), at), slope, inSequence, key);
          score = e.select(a.sees(inSequence, first, key), score, e.constantF(score.getType(), invisible));
          e.store(score, at);
          return SmallVector<Value>{e.maxF(score, carried[0])};
        })[0];
    Value maximum = e.maxOf(high), correction = e.exp2Negative(e.subF(old, maximum));
    e.store(maximum, floatAt(maxima, row));
    Value key = a.dropout ? a.dropoutKey(e.add(rowBegin, inSequence), head) : Value();
    Value total = e.loop(e.constant(0), e.constant(attentionBlock), a.lanes, {e.zeros(a.lanes)},
                         [&](Value column, ValueRange carried) {
                           Value at = floatAt(place, column);
                           Value score = e.load(e.vec(a.lanes), at);
                           Value weight = e.exp2Negative(e.subF(score, e.splat(maximum, a.lanes)));
                           Value left = weight;
                           if (key) // dropped behind the softmax: the total is of all
                             left = e.mulF(weight, a.dropoutFactors(key, inSequence, e.add(block, column)));
                           e.store(left, at);
                           return SmallVector<Value>{e.addF(carried[0], weight)};
                         })[0];
    Value sum = floatAt(totals, row);
    e.store(e.fma(e.load(e.f32(), sum), correction, e.sum(total)), sum);
    Value rowSums = floatAt(sums, e.mul(row, a.valueSize));
    for (Segment segment : segmentsOf(a.valueSize, a.lanes)) {
      Value at = e.at(rowSums, segment.first, e.f32());
      e.store(e.mulF(e.load(e.vec(segment.n), at), e.splat(correction, segment.n)), at);
    }
  }

  void finish(Value row, Value ofStep) {
    Value total = e.load(e.f32(), floatAt(totals, row)), inverse = e.divF(e.constantF(e.f32(), 1), total);
    Value from = floatAt(sums, e.mul(row, a.valueSize)),
          to = a.headOf(op.getOutput(), ofStep, head, a.valueSize);
    for (Segment segment : segmentsOf(a.valueSize, a.lanes))
      e.store(
          e.mulF(e.load(e.vec(segment.n), e.at(from, segment.first, e.f32())), e.splat(inverse, segment.n)),
          e.at(to, segment.first, e.f32()));
    Value logTotal =
        e.mulF(math::LogOp::create(e.b, e.loc, total), e.constantF(e.f32(), std::numbers::log2e));
    e.store(e.addF(e.load(e.f32(), floatAt(maxima, row)), logTotal),
            a.headOf(op.getLogSum(), ofStep, head, 1));
  }

  Frame &frame;
  Emitter &e;
  SelfAttention a;
  kernel::SelfAttentionOp op;
  Value keys, queries, sums, scores, maxima, totals; // scratch
  Value head, rowBegin, values;                      // of the tile
};

} // namespace

LogicalResult emitSelfAttention(Frame &frame, kernel::SelfAttentionOp op) {
  if (!op.isWhole())
    return op.emitOpError() << "expected whole sequences in tiles on processors, found "
                            << op.getRowsPerTile() << " rows";
  Forward(frame, op).emit();
  return success();
}

} // namespace sinter::cpu
