// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention_backward: a tile is a key head of a sequence. For each of its query heads, each block
// of queries and each block of keys, scores are computed again, then with P = 2^(score - log_sum), F what
// dropout multiplied P by (else 1), D = sum of gradient * output:
//   value gradient += (F * P)^T * gradient    dP = gradient * value^T    dS = P * (F * dP - D) * d score / d
//   product query gradient += dS * key                key gradient += dS^T * query
#include "passes/lowering/cpu/training/SelfAttention.h"

#include "passes/lowering/Anchors.h"
#include "passes/lowering/cpu/Emitters.h"
#include "passes/lowering/cpu/matmul/TileProduct.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

int64_t columnsOf(Value argument) { return cast<kernel::RowsType>(argument.getType()).getColumns(); }

class Backward {
public:
  Backward(Frame &frame, kernel::SelfAttentionBackwardOp op)
      : frame(frame), e(frame.e), a(frame, op), op(op) {
    keys = frame.allocate(a.transposedBytes(a.keySize));
    values = frame.allocate(a.transposedBytes(a.valueSize));
    queries = frame.allocate(attentionBlock * a.keySize * 4);
    weights = frame.allocate(attentionBlock * attentionBlock * 4);
    gradients = frame.allocate(attentionBlock * attentionBlock * 4);
    dots = frame.allocate(attentionBlock * 4);
  }

  void emit() {
    forEachTile(frame, op.getGrid(), [&](Value tileHead, Value begin, Value end, Value) {
      keyHead = tileHead;
      rowBegin = begin;
      rows = e.sub(end, begin);
      a.findFirsts(begin, rows);
      a.transpose(a.key, begin, rows, keyHead, a.keySize, keys);
      a.transpose(a.value, begin, rows, keyHead, a.valueSize, values);
      clear(op.getKeyGradient(), keyHead, a.keySize);
      clear(op.getValueGradient(), keyHead, a.valueSize);
      e.loop(e.constant(0), e.constant(a.group), 1, [&](Value number) {
        head = e.add(e.mul(keyHead, a.group), number);
        clear(op.getQueryGradient(), head, a.keySize);
        e.loop(e.constant(0), rows, attentionBlock,
               [&](Value block) { emitQueries(block, e.min(e.add(block, attentionBlock), rows)); });
      });
    });
  }

private:
  Value floatAt(Value base, Value index) { return e.at(base, index, e.f32()); }
  Value blockAt(Value argument, Value row, Value ofHead, int64_t size) {
    return a.headOf(argument, e.add(rowBegin, row), ofHead, size);
  }

  void clear(Value argument, Value ofHead, int64_t size) {
    e.loop(e.constant(0), rows, 1, [&](Value row) {
      Value place = blockAt(argument, row, ofHead, size);
      for (Segment segment : segmentsOf(size, a.lanes))
        e.store(e.zeros(segment.n), e.at(place, segment.first, e.f32()));
    });
  }

  void emitQueries(Value begin, Value end) {
    Value count = e.sub(end, begin);
    a.copyQueries(e.add(rowBegin, begin), count, head, queries);
    e.loop(e.constant(0), count, 1, [&](Value row) { e.store(dot(e.add(begin, row)), floatAt(dots, row)); });
    Value gradient = blockAt(op.getGradient(), begin, head, a.valueSize);
    Value query = blockAt(a.query, begin, head, a.keySize);
    Value queryGradient = blockAt(op.getQueryGradient(), begin, head, a.keySize);
    int64_t keyColumns = columnsOf(a.key), valueColumns = columnsOf(a.value),
            queryColumns = columnsOf(a.query);
    int64_t outputColumns = columnsOf(op.getGradient());
    constexpr int64_t block = attentionBlock;
    e.loop(e.alignDown(a.leastFirst(begin, end), block), end, block, [&](Value first) {
      Value width = e.min(e.sub(end, first), e.constant(block));
      emitTileProduct(
          e, {queries, a.keySize, 1, floatAt(keys, e.mul(first, a.keySize)), block, weights, block, block},
          count, e.constant(a.keySize));
      emitTileProduct(e,
                      {gradient, outputColumns, 1, floatAt(values, e.mul(first, a.valueSize)), block,
                       gradients, block, block},
                      count, e.constant(a.valueSize));
      e.loop(e.constant(0), count, 1, [&](Value row) { differentiate(row, e.add(begin, row), first); });
      emitTileProduct(e,
                      {weights, 1, block, gradient, outputColumns,
                       blockAt(op.getValueGradient(), first, keyHead, a.valueSize), valueColumns, a.valueSize,
                       true},
                      width, count);
      emitTileProduct(e,
                      {gradients, block, 1, blockAt(a.key, first, keyHead, a.keySize), keyColumns,
                       queryGradient, queryColumns, a.keySize, true, elementOf(a.key)},
                      count, width);
      emitTileProduct(e,
                      {gradients, 1, block, query, queryColumns,
                       blockAt(op.getKeyGradient(), first, keyHead, a.keySize), keyColumns, a.keySize, true,
                       elementOf(a.query)},
                      width, count);
    });
  }

  /// The sum over the head of gradient * output, of a row of the sequence.
  Value dot(Value row) {
    Value g = blockAt(op.getGradient(), row, head, a.valueSize),
          o = blockAt(op.getOutput(), row, head, a.valueSize);
    Value total, vector;
    for (Segment segment : segmentsOf(a.valueSize, a.lanes)) {
      auto load = [&](Value base) { return e.load(e.vec(segment.n), e.at(base, segment.first, e.f32())); };
      if (segment.n == a.lanes)
        vector = vector ? e.fma(load(g), load(o), vector) : e.mulF(load(g), load(o));
      else
        total = e.sum(e.mulF(load(g), load(o)));
    }
    if (!vector)
      return total;
    return total ? e.addF(e.sum(vector), total) : e.sum(vector);
  }

  /// A row of scores becomes P, of dP becomes dS; both zero where the row does not see the key.
  void differentiate(Value row, Value inSequence, Value firstKey) {
    Value offset = e.mul(row, attentionBlock), first = a.firstOf(inSequence), slope = a.slopeOf(head);
    Value logSum = e.load(e.f32(), blockAt(op.getLogSum(), inSequence, head, 1));
    Value d = e.load(e.f32(), floatAt(dots, row));
    Value dropoutKey = a.dropout ? a.dropoutKey(e.add(rowBegin, inSequence), head) : Value();
    e.loop(e.constant(0), e.constant(attentionBlock), a.lanes, [&](Value column) {
      Value key = e.add(firstKey, column), place = floatAt(weights, e.add(offset, column)), capped;
      Value score = a.score(e.load(e.vec(a.lanes), place), slope, inSequence, key, &capped);
      Value p = e.exp2Negative(e.subF(score, e.splat(logSum, a.lanes)));
      p = e.select(a.sees(inSequence, first, key), p, e.zeros(a.lanes));
      Value gradientPlace = floatAt(gradients, e.add(offset, column));
      Value along = e.load(e.vec(a.lanes), gradientPlace), left = p;
      if (dropoutKey) {
        Value factors = a.dropoutFactors(dropoutKey, inSequence, key);
        along = e.mulF(along, factors);
        left = e.mulF(p, factors);
      }
      e.store(left, place);
      Value difference = e.subF(along, e.splat(d, a.lanes));
      Value gradient = e.mulF(e.mulF(p, difference), e.constantF(e.vec(a.lanes), a.scale));
      if (capped)
        gradient = e.mulF(gradient, e.subF(e.constantF(e.vec(a.lanes), 1), e.mulF(capped, capped)));
      e.store(gradient, gradientPlace);
    });
  }

  Frame &frame;
  Emitter &e;
  SelfAttention a;
  kernel::SelfAttentionBackwardOp op;
  Value keys, values, queries, weights, gradients, dots; // scratch
  Value keyHead, head, rowBegin, rows;                   // of the tile
};

} // namespace

LogicalResult emitSelfAttentionBackward(Frame &frame, kernel::SelfAttentionBackwardOp op) {
  if (!op.isWhole())
    return op.emitOpError() << "expected whole sequences in tiles on processors, found "
                            << op.getRowsPerTile() << " rows";
  if (op.makesKeys()) // the launch behind one that prepares makes all
    Backward(frame, op).emit();
  return success();
}

} // namespace sinter::cpu
