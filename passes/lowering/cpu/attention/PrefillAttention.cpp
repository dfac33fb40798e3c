// SPDX-License-Identifier: Apache-2.0
// kernel.attention prefill: a tile is one query head and a block of rows, consecutive tokens of one sequence.
// Flash attention: for each block of keys, and each few rows (a strip), scores by a register tile of
// strip x 16 keys, weights with a running maximum, then the weighted sum of values by a register tile again.
// Blocks of keys outside the causal reach or the window of a strip are skipped; only blocks that cross its
// edge are masked.
#include "passes/lowering/cpu/Emitters.h"
#include "passes/lowering/cpu/attention/Attention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

class PrefillAttention {
public:
  PrefillAttention(Frame &frame, kernel::AttentionOp op) : frame(frame), e(frame.e), shape(op) {
    kernel::ScheduleAttr schedule = op.getScheduleAttr();
    blockKeys = schedule && schedule.getKeyBlock() ? schedule.getKeyBlock() : 64;
    lanes = e.target.lanes();
    vectors = panel / lanes;
    strip = e.target.registers() == 16 ? 4 : 8;
    rowsPerTile = op.getGrid().rowsPerTile;
    int64_t padded = (rowsPerTile + strip - 1) / strip * strip;
    query = frame.allocate(padded * shape.keySize * 4);
    sums = frame.allocate(padded * shape.valueSize * 4);
    maxima = frame.allocate(padded * 4);
    totals = frame.allocate(padded * 4);
    scores = frame.allocate(strip * blockKeys * 4);
  }

  void emit() {
    forEachTile(frame, shape.op.getGrid(),
                [&](Value head, Value rowBegin, Value rowEnd, Value) { emitTile(head, rowBegin, rowEnd); });
  }

private:
  void emitTile(Value head, Value rowBegin, Value rowEnd);
  void emitStrip(Value row, Value block);
  void scoreStrip(Value row, Value block, Value panels);
  void scorePanels(Value row, Value block, Value first, int64_t count);
  void mask(Value row, Value block, Value width);
  SmallVector<Value> weigh(Value row, Value width);
  void accumulate(Value row, Value block, Value width, ArrayRef<Value> corrections);
  Value floatAt(Value base, Value index) { return e.at(base, index, e.f32()); }

  Frame &frame;
  Emitter &e;
  AttentionShape shape;
  int64_t blockKeys, lanes, vectors, strip, rowsPerTile;
  Value query, sums, maxima, totals, scores;    // scratch; rows beyond the last are zeros and go nowhere
  Value head, keys, values, firstPosition, end; // of the tile; end: the key after the last row's own
};

void PrefillAttention::emitTile(Value tileHead, Value rowBegin, Value rowEnd) {
  head = tileHead;
  Value keyHead = e.div(head, shape.group);
  keys = shape.keysOf(frame, rowBegin, keyHead);
  values = shape.valuesOf(frame, rowBegin, keyHead);
  firstPosition = frame.stepEntry(abi::stepPositions, rowBegin);
  Value rows = e.sub(rowEnd, rowBegin);
  end = e.add(firstPosition, rows);
  Value padded = e.mul(e.ceilDiv(rows, strip), strip);

  e.loop(e.constant(0), padded, 1, [&](Value row) {
    Value q = floatAt(query, e.mul(row, shape.keySize)), sum = floatAt(sums, e.mul(row, shape.valueSize));
    // Rows beyond the last repeat the last.
    shape.copyQuery(frame, e.add(rowBegin, e.min(row, e.sub(rows, 1))), head, q);
    for (Segment segment : segmentsOf(shape.valueSize, lanes))
      e.store(e.zeros(segment.n), e.at(sum, segment.first, e.f32()));
    e.store(e.constantF(e.f32(), invisible), floatAt(maxima, row));
    e.store(e.constantF(e.f32(), 0), floatAt(totals, row));
  });
  Value first = e.alignDown(shape.firstKey(e, firstPosition), panel);
  e.loop(first, end, blockKeys, [&](Value block) {
    e.loop(e.constant(0), padded, strip, [&](Value row) { emitStrip(row, block); });
  });
  Value output = frame.rowOf(shape.op.getOutput(), rowBegin);
  e.loop(e.constant(0), rows, 1, [&](Value row) {
    Value inverse = e.divF(e.constantF(e.f32(), 1), e.load(e.f32(), floatAt(totals, row)));
    Value from = floatAt(sums, e.mul(row, shape.valueSize));
    Value to = floatAt(output, e.mul(e.add(e.mul(row, shape.heads), head), shape.valueSize));
    for (Segment segment : segmentsOf(shape.valueSize, lanes))
      e.store(e.mulF(e.loadWide(e.f32(), segment.n, e.at(from, segment.first, e.f32())),
                     e.splat(inverse, segment.n)),
              e.at(to, segment.first, e.f32()));
  });
}

/// Rows row to row + strip - 1 of the tile and keys block to block + blockKeys - 1.
void PrefillAttention::emitStrip(Value row, Value block) {
  Value position = e.add(firstPosition, row);
  // Panels that the last row sees, and that hold tokens.
  Value visible = e.sub(e.min(e.add(position, strip), end), block);
  Value panels = e.min(e.ceilDiv(e.max(visible, e.constant(0)), panel), e.constant(blockKeys / panel));
  Value isSeen = e.less(e.constant(0), panels);
  if (shape.window) {
    Value inWindow = e.less(shape.firstKey(e, position), e.add(block, blockKeys));
    isSeen = arith::AndIOp::create(e.b, e.loc, isSeen, inWindow);
  }
  e.ifThen(isSeen, [&] {
    Value width = e.mul(panels, panel);
    scoreStrip(row, block, panels);
    // The first row sees least of the future, the last row least of the past.
    Value crosses = e.less(e.add(position, 1), e.add(block, width));
    if (shape.window) {
      Value past = e.less(block, shape.firstKey(e, e.add(position, strip - 1)));
      crosses = arith::OrIOp::create(e.b, e.loc, crosses, past);
    }
    e.ifThen(crosses, [&] { mask(row, block, width); });
    SmallVector<Value> corrections = weigh(row, width);
    accumulate(row, block, e.min(width, e.sub(end, block)), corrections);
  });
}

void PrefillAttention::scoreStrip(Value row, Value block, Value panels) {
  // AVX-512 has the registers for two panels at once.
  int64_t together = e.target.registers() == 16 ? 1 : 2;
  Value main = e.alignDown(panels, together);
  e.loop(e.constant(0), main, together, [&](Value first) { scorePanels(row, block, first, together); });
  if (together > 1)
    e.loop(main, panels, 1, [&](Value first) { scorePanels(row, block, first, 1); });
}

void PrefillAttention::scorePanels(Value row, Value block, Value first, int64_t count) {
  int64_t size = shape.keySize, unroll = size % 4 ? 1 : 4, columns = count * vectors;
  Value lines = e.at(keys, e.mul(e.add(block, e.mul(first, panel)), size), shape.element);
  Value q0 = floatAt(query, e.mul(row, size));
  SmallVector<Value> products(strip * columns, e.zeros(lanes));
  products = e.loop(e.constant(0), e.constant(size), unroll, products, [&](Value d, ValueRange carried) {
    SmallVector<Value> next(carried);
    Value line = e.at(lines, e.mul(d, panel), shape.element), q = floatAt(q0, d);
    for (int64_t u = 0; u < unroll; ++u) {
      SmallVector<Value> k;
      for (int64_t p = 0; p < count; ++p)
        for (int64_t v = 0; v < vectors; ++v)
          k.push_back(e.loadWide(shape.element, lanes,
                                 e.at(line, p * size * panel + u * panel + v * lanes, shape.element)));
      for (int64_t i = 0; i < strip; ++i) {
        Value x = e.splat(e.load(e.f32(), e.at(q, i * size + u, e.f32())), lanes);
        for (int64_t v = 0; v < columns; ++v)
          next[i * columns + v] = e.fma(x, k[v], next[i * columns + v]);
      }
    }
    return next;
  });
  Value place = floatAt(scores, e.mul(first, panel));
  Value slope = shape.slopeOf(frame, head, lanes);
  for (int64_t i = 0; i < strip; ++i)
    for (int64_t v = 0; v < columns; ++v) {
      Value distance;
      if (slope) {
        Value t = e.add(e.add(block, e.mul(first, panel)), v * lanes);
        Value steps = e.sub(t, e.add(e.add(firstPosition, row), i));
        distance = e.addF(e.splat(e.toFloat(steps), lanes), e.iota(lanes, e.f32()));
      }
      e.store(shape.finishScore(e, products[i * columns + v], slope, distance),
              e.at(place, i * blockKeys + v * lanes, e.f32()));
    }
}

/// Scores of keys that a row does not see become `invisible`.
void PrefillAttention::mask(Value row, Value block, Value width) {
  Value position = e.add(firstPosition, row);
  e.loop(e.constant(0), width, lanes, [&](Value column) {
    Value t = e.add(block, column);
    for (int64_t i = 0; i < strip; ++i) {
      Value at = e.add(position, i), from = shape.firstKey(e, at);
      Value steps =
          arith::AddIOp::create(e.b, e.loc, e.splat(e.toI32(e.sub(t, from)), lanes), e.iota(lanes, e.i32()));
      Value reach = e.splat(e.toI32(e.sub(e.add(at, 1), from)), lanes);
      // from <= t <= position: one unsigned comparison.
      Value visible = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, steps, reach);
      Value place = e.at(floatAt(scores, column), i * blockKeys, e.f32());
      e.store(e.select(visible, e.load(e.vec(lanes), place), e.constantF(e.vec(lanes), invisible)), place);
    }
  });
}

/// Scores become weights 2^(score - maximum); gives the factor of each row for what earlier blocks left.
SmallVector<Value> PrefillAttention::weigh(Value row, Value width) {
  auto place = [&](Value column, int64_t i) { return e.at(floatAt(scores, column), i * blockKeys, e.f32()); };
  SmallVector<Value> highest(strip, e.constantF(e.vec(lanes), invisible));
  highest = e.loop(e.constant(0), width, lanes, highest, [&](Value column, ValueRange carried) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < strip; ++i)
      next.push_back(e.maxF(e.load(e.vec(lanes), place(column, i)), carried[i]));
    return next;
  });
  SmallVector<Value> corrections;
  Value rowMaxima = floatAt(maxima, row), rowTotals = floatAt(totals, row);
  for (int64_t i = 0; i < strip; ++i) {
    Value old = e.load(e.f32(), e.at(rowMaxima, i, e.f32()));
    Value high = e.maxF(e.maxOf(highest[i]), old);
    e.store(high, e.at(rowMaxima, i, e.f32()));
    corrections.push_back(e.exp2Negative(e.subF(old, high)));
    highest[i] = e.splat(high, lanes);
  }
  SmallVector<Value> total(strip, e.zeros(lanes));
  total = e.loop(e.constant(0), width, lanes, total, [&](Value column, ValueRange carried) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < strip; ++i) {
      Value weight = e.exp2Negative(e.subF(e.load(e.vec(lanes), place(column, i)), highest[i]));
      e.store(weight, place(column, i));
      next.push_back(e.addF(carried[i], weight));
    }
    return next;
  });
  for (int64_t i = 0; i < strip; ++i) {
    Value place = e.at(rowTotals, i, e.f32());
    e.store(e.fma(e.load(e.f32(), place), corrections[i], e.sum(total[i])), place);
  }
  return corrections;
}

/// sums = sums * correction + weights * values of keys block to block + width - 1.
void PrefillAttention::accumulate(Value row, Value block, Value width, ArrayRef<Value> corrections) {
  SmallVector<Segment> segments = segmentsOf(shape.valueSize, lanes);
  Value rowSums = floatAt(sums, e.mul(row, shape.valueSize));
  for (size_t begin = 0; begin < segments.size(); begin += 2) {
    ArrayRef<Segment> some = ArrayRef(segments).slice(begin, std::min<size_t>(2, segments.size() - begin));
    auto place = [&](int64_t i, Segment segment) {
      return e.at(rowSums, i * shape.valueSize + segment.first, e.f32());
    };
    SmallVector<Value> sum;
    for (int64_t i = 0; i < strip; ++i)
      for (Segment segment : some)
        sum.push_back(
            e.mulF(e.loadWide(e.f32(), segment.n, place(i, segment)), e.splat(corrections[i], segment.n)));
    sum = e.loop(e.constant(0), width, 1, sum, [&](Value t, ValueRange carried) {
      SmallVector<Value> next(carried), v;
      Value line = e.at(values, e.mul(e.add(block, t), shape.valueSize), shape.element);
      for (Segment segment : some)
        v.push_back(e.loadWide(shape.element, segment.n, e.at(line, segment.first, shape.element)));
      for (int64_t i = 0; i < strip; ++i) {
        Value weight = e.load(e.f32(), e.at(floatAt(scores, t), i * blockKeys, e.f32()));
        for (size_t j = 0; j < some.size(); ++j)
          next[i * some.size() + j] = e.fma(e.splat(weight, some[j].n), v[j], next[i * some.size() + j]);
      }
      return next;
    });
    for (int64_t i = 0; i < strip; ++i)
      for (auto [j, segment] : llvm::enumerate(some))
        e.store(sum[i * some.size() + j], place(i, segment));
  }
}

} // namespace

LogicalResult emitPrefillAttention(Frame &frame, kernel::AttentionOp op) {
  PrefillAttention(frame, op).emit();
  return success();
}

} // namespace sinter::cpu
