// SPDX-License-Identifier: Apache-2.0
// kernel.attention decode: a tile is one row, one key head with all query heads that share it, and a chunk of
// keys (or all keys). Keys come in panels of 16 tokens, one token a lane, so that no sum goes across lanes;
// each widened line of keys or values serves all query heads of the group.
#include "passes/lowering/cpu/Emitters.h"
#include "passes/lowering/cpu/attention/Attention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {
namespace {

class DecodeAttention {
public:
  DecodeAttention(Frame &frame, kernel::AttentionOp op) : frame(frame), e(frame.e), shape(op) {
    partial = dyn_cast<kernel::PartialType>(op.getOutput().getType());
    kernel::ScheduleAttr schedule = op.getScheduleAttr();
    blockKeys = partial                              ? partial.getKeys()
                : schedule && schedule.getKeyBlock() ? schedule.getKeyBlock()
                                                     : 256;
    lanes = e.target.lanes();
    vectors = panel / lanes;
    // Accumulators in registers, with room for the operands.
    budget = e.target.registers() == 16 ? 12 : 24;
    int64_t together = budget / vectors;
    int64_t parts = (shape.group + together - 1) / together;
    headsAtOnce = (shape.group + parts - 1) / parts;
    query = frame.allocate(shape.group * shape.keySize * 4);
    scores = frame.allocate(shape.group * scoreStride() * 4);
    state = frame.allocate(shape.group * (shape.valueSize + 2) * 4);
  }

  void emit() {
    forEachTile(frame, shape.op.getGrid(), [&](Value keyHead, Value row, Value, Value chunk) {
      Value position = frame.stepEntry(abi::stepPositions, row);
      Value from = shape.firstKey(e, position), to = e.add(position, 1);
      if (partial) {
        from = e.max(from, e.mul(chunk, blockKeys));
        to = e.min(to, e.mul(e.add(chunk, 1), blockKeys));
      }
      e.ifThen(e.less(from, to), [&] { emitTile(keyHead, row, position, from, to, chunk); });
    });
  }

private:
  int64_t scoreStride() const { return blockKeys + panel; }
  void emitTile(Value keyHead, Value row, Value position, Value from, Value to, Value chunk);
  void emitBlock(Value from, Value to, int64_t first, int64_t count, bool isFirst);
  SmallVector<Value> scorePanels(Value token, int64_t panels, Value base, Value from, Value to, int64_t first,
                                 int64_t count, ValueRange maxima);
  void accumulate(Value base, Value from, Value to, int64_t first, int64_t count,
                  ArrayRef<Value> corrections);

  Frame &frame;
  Emitter &e;
  AttentionShape shape;
  kernel::PartialType partial;
  int64_t blockKeys, lanes, vectors, budget, headsAtOnce;
  Value query, scores, state; // scratch: (group, key size), (group, scoreStride), accumulators
  Value sums, maxima, totals; // (group, value size), (group), (group): in scratch, or in the partial buffer
  Value keys, values, position, group; // of the tile
};

void DecodeAttention::emitTile(Value keyHead, Value row, Value at, Value from, Value to, Value chunk) {
  position = at;
  group = e.mul(keyHead, shape.group);
  keys = shape.keysOf(frame, row, keyHead);
  values = shape.valuesOf(frame, row, keyHead);
  for (int64_t i = 0; i < shape.group; ++i)
    shape.copyQuery(frame, row, e.add(group, i), e.at(query, i * shape.keySize, e.f32()));
  auto each = [&](auto body) {
    for (int64_t first = 0; first < shape.group; first += headsAtOnce)
      body(first, std::min(headsAtOnce, shape.group - first));
  };
  if (partial) {
    Value chunks = e.ceilDiv(frame.stepField(abi::stepCacheTokens), blockKeys);
    Value index = e.add(e.mul(row, chunks), chunk);
    Value base = e.atByte(frame.buffer(shape.op.getOutput()), e.mul(index, partial.getBytes()));
    sums = e.at(base, e.mul(group, shape.valueSize), e.f32());
    maxima = e.at(e.at(base, shape.heads * shape.valueSize, e.f32()), group, e.f32());
    totals = e.at(maxima, shape.heads, e.f32());
    each([&](int64_t first, int64_t count) { emitBlock(from, to, first, count, true); });
    return;
  }
  sums = state;
  maxima = e.at(state, shape.group * shape.valueSize, e.f32());
  totals = e.at(maxima, shape.group, e.f32());
  // The first block ends at a multiple of the block, so that later ones begin at a panel.
  Value firstEnd = e.min(e.add(e.alignDown(from, panel), blockKeys), to);
  each([&](int64_t first, int64_t count) { emitBlock(from, firstEnd, first, count, true); });
  e.loop(firstEnd, to, blockKeys, [&](Value begin) {
    Value end = e.min(e.add(begin, blockKeys), to);
    each([&](int64_t first, int64_t count) { emitBlock(begin, end, first, count, false); });
  });
  Value output = e.at(frame.rowOf(shape.op.getOutput(), row), e.mul(group, shape.valueSize), e.f32());
  for (int64_t i = 0; i < shape.group; ++i) {
    Value inverse = e.divF(e.constantF(e.f32(), 1), e.load(e.f32(), e.at(totals, i, e.f32())));
    for (Segment segment : segmentsOf(shape.valueSize, lanes)) {
      int64_t offset = i * shape.valueSize + segment.first;
      Value sum = e.loadWide(e.f32(), segment.n, e.at(sums, offset, e.f32()));
      e.store(e.mulF(sum, e.splat(inverse, segment.n)), e.at(output, offset, e.f32()));
    }
  }
}

/// Keys from to to - 1 (at most blockKeys of them) for query heads first to first + count - 1 of the group.
void DecodeAttention::emitBlock(Value from, Value to, int64_t first, int64_t count, bool isFirst) {
  Value base = e.alignDown(from, panel);
  Value end = e.add(base, e.mul(e.ceilDiv(e.sub(to, base), panel), panel));
  // Scores, and their maximum a lane.
  SmallVector<Value> maximum(count, e.constantF(e.vec(lanes), invisible));
  int64_t together = std::max<int64_t>(1, budget / (vectors * count));
  Value main = e.add(base, e.mul(e.div(e.sub(end, base), together * panel), together * panel));
  auto panels = [&](int64_t number) {
    return [&, number](Value token, ValueRange carried) {
      return scorePanels(token, number, base, from, to, first, count, carried);
    };
  };
  maximum = e.loop(base, main, together * panel, maximum, panels(together));
  if (together > 1)
    maximum = e.loop(main, end, panel, maximum, panels(1));

  // Weights 2^(score - maximum), their sums, and the factor for what earlier blocks left.
  SmallVector<Value> highest, corrections;
  for (int64_t i = 0; i < count; ++i) {
    Value high = e.maxOf(maximum[i]);
    Value place = e.at(maxima, first + i, e.f32());
    if (!isFirst) {
      Value old = e.load(e.f32(), place);
      high = e.maxF(high, old);
      corrections.push_back(e.exp2Negative(e.subF(old, high)));
    }
    e.store(high, place);
    highest.push_back(e.splat(high, lanes));
  }
  SmallVector<Value> total(count, e.zeros(lanes));
  total = e.loop(e.constant(0), e.sub(end, base), lanes, total, [&](Value t, ValueRange carried) {
    SmallVector<Value> next;
    for (int64_t i = 0; i < count; ++i) {
      Value place = e.at(e.at(scores, (first + i) * scoreStride(), e.f32()), t, e.f32());
      Value weight = e.exp2Negative(e.subF(e.load(e.vec(lanes), place), highest[i]));
      e.store(weight, place);
      next.push_back(e.addF(carried[i], weight));
    }
    return next;
  });
  for (int64_t i = 0; i < count; ++i) {
    Value place = e.at(totals, first + i, e.f32());
    Value sum = e.sum(total[i]);
    e.store(isFirst ? sum : e.fma(e.load(e.f32(), place), corrections[i], sum), place);
  }
  accumulate(base, from, to, first, count, corrections);
}

SmallVector<Value> DecodeAttention::scorePanels(Value token, int64_t panels, Value base, Value from, Value to,
                                                int64_t first, int64_t count, ValueRange maximum) {
  int64_t size = shape.keySize, unroll = size % 2 ? 1 : 2;
  Value lines = e.at(keys, e.mul(token, size), shape.element);
  SmallVector<Value> products(panels * vectors * count, e.zeros(lanes));
  products = e.loop(e.constant(0), e.constant(size), unroll, products, [&](Value d, ValueRange carried) {
    SmallVector<Value> next(carried);
    Value line = e.at(lines, e.mul(d, panel), shape.element), q = e.at(query, d, e.f32());
    for (int64_t u = 0; u < unroll; ++u) {
      SmallVector<Value> x;
      for (int64_t i = 0; i < count; ++i)
        x.push_back(e.splat(e.load(e.f32(), e.at(q, (first + i) * size + u, e.f32())), lanes));
      // One register of keys at a time: accumulators and queries take up the others.
      for (int64_t p = 0; p < panels; ++p)
        for (int64_t v = 0; v < vectors; ++v) {
          Value k = e.loadWide(shape.element, lanes,
                               e.at(line, p * size * panel + u * panel + v * lanes, shape.element));
          for (int64_t i = 0; i < count; ++i) {
            Value &sum = next[(i * panels + p) * vectors + v];
            sum = e.fma(x[i], k, sum);
          }
        }
    }
    return next;
  });
  SmallVector<Value> next(maximum);
  Value reach = e.splat(e.toI32(e.sub(to, from)), lanes);
  for (int64_t v = 0; v < panels * vectors; ++v) {
    Value t = e.add(token, v * lanes);
    // t - from < to - from, both unsigned: one comparison for both ends.
    Value steps =
        arith::AddIOp::create(e.b, e.loc, e.splat(e.toI32(e.sub(t, from)), lanes), e.iota(lanes, e.i32()));
    Value visible = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::ult, steps, reach);
    Value distance;
    if (shape.hasSlopes())
      distance = e.addF(e.splat(e.toFloat(e.sub(t, position)), lanes), e.iota(lanes, e.f32()));
    for (int64_t i = 0; i < count; ++i) {
      Value score = shape.finishScore(e, products[i * panels * vectors + v],
                                      shape.slopeOf(frame, e.add(group, first + i), lanes), distance);
      score = e.select(visible, score, e.constantF(e.vec(lanes), invisible));
      e.store(score, e.at(e.at(scores, (first + i) * scoreStride() + v * lanes, e.f32()), e.sub(token, base),
                          e.f32()));
      next[i] = e.maxF(score, next[i]);
    }
  }
  return next;
}

/// sums = sums * correction + weights * values, as many columns at once as there are registers.
void DecodeAttention::accumulate(Value base, Value from, Value to, int64_t first, int64_t count,
                                 ArrayRef<Value> corrections) {
  SmallVector<Segment> segments = segmentsOf(shape.valueSize, lanes);
  size_t atOnce = std::max<int64_t>(1, budget / count);
  for (size_t begin = 0; begin < segments.size(); begin += atOnce) {
    ArrayRef<Segment> some = ArrayRef(segments).slice(begin, std::min(atOnce, segments.size() - begin));
    auto place = [&](int64_t i, Segment segment) {
      return e.at(sums, (first + i) * shape.valueSize + segment.first, e.f32());
    };
    SmallVector<Value> sum;
    for (int64_t i = 0; i < count; ++i)
      for (Segment segment : some)
        sum.push_back(corrections.empty() ? e.zeros(segment.n)
                                          : e.mulF(e.loadWide(e.f32(), segment.n, place(i, segment)),
                                                   e.splat(corrections[i], segment.n)));
    sum = e.loop(from, to, 1, sum, [&](Value t, ValueRange carried) {
      SmallVector<Value> next(carried), v;
      Value line = e.at(values, e.mul(t, shape.valueSize), shape.element);
      for (Segment segment : some)
        v.push_back(e.loadWide(shape.element, segment.n, e.at(line, segment.first, shape.element)));
      for (int64_t i = 0; i < count; ++i) {
        Value weight = e.load(
            e.f32(), e.at(e.at(scores, (first + i) * scoreStride(), e.f32()), e.sub(t, base), e.f32()));
        for (size_t j = 0; j < some.size(); ++j)
          next[i * some.size() + j] = e.fma(e.splat(weight, some[j].n), v[j], next[i * some.size() + j]);
      }
      return next;
    });
    for (int64_t i = 0; i < count; ++i)
      for (auto [j, segment] : llvm::enumerate(some))
        e.store(sum[i * some.size() + j], place(i, segment));
  }
}

} // namespace

LogicalResult emitDecodeAttention(Frame &frame, kernel::AttentionOp op) {
  DecodeAttention(frame, op).emit();
  return success();
}

void emitCombine(Frame &frame, kernel::CombineOp op, Value row, Value destination) {
  Emitter &e = frame.e;
  kernel::PartialType type = op.getPartial().getType();
  int64_t size = type.getSize(), window = op.getWindow();
  Value position = frame.stepEntry(abi::stepPositions, row);
  Value firstKey = window ? e.max(e.sub(e.add(position, 1), window), e.constant(0)) : e.constant(0);
  Value first = e.div(firstKey, type.getKeys()), end = e.add(e.div(position, type.getKeys()), 1);
  Value chunks = e.ceilDiv(frame.stepField(abi::stepCacheTokens), type.getKeys());
  Value base = e.atByte(frame.buffer(op.getPartial()), e.mul(e.mul(row, chunks), type.getBytes()));
  SmallVector<Segment> segments = segmentsOf(size, e.target.lanes());
  size_t atOnce = e.target.registers() / 2;
  e.loop(e.constant(0), e.constant(type.getHeads()), 1, [&](Value head) {
    auto chunkAt = [&](Value chunk) { return e.atByte(base, e.mul(chunk, type.getBytes())); };
    auto maximumAt = [&](Value chunk) {
      return e.at(e.at(chunkAt(chunk), type.getHeads() * size, e.f32()), head, e.f32());
    };
    Value high = e.loop(first, end, 1, e.constantF(e.f32(), invisible), [&](Value chunk, ValueRange carried) {
                    return SmallVector<Value>{e.maxF(e.load(e.f32(), maximumAt(chunk)), carried[0])};
                  }).front();
    for (size_t begin = 0; begin < segments.size(); begin += atOnce) {
      ArrayRef<Segment> some = ArrayRef(segments).slice(begin, std::min(atOnce, segments.size() - begin));
      SmallVector<Value> sums{e.constantF(e.f32(), 0)};
      for (Segment segment : some)
        sums.push_back(e.zeros(segment.n));
      sums = e.loop(first, end, 1, sums, [&](Value chunk, ValueRange carried) {
        Value maximum = maximumAt(chunk);
        Value factor = e.exp2Negative(e.subF(e.load(e.f32(), maximum), high));
        SmallVector<Value> next{
            e.fma(factor, e.load(e.f32(), e.at(maximum, type.getHeads(), e.f32())), carried[0])};
        Value line = e.at(chunkAt(chunk), e.mul(head, size), e.f32());
        for (auto [j, segment] : llvm::enumerate(some))
          next.push_back(e.fma(e.splat(factor, segment.n),
                               e.loadWide(e.f32(), segment.n, e.at(line, segment.first, e.f32())),
                               carried[1 + j]));
        return next;
      });
      Value inverse = e.divF(e.constantF(e.f32(), 1), sums[0]);
      Value output = e.at(destination, e.mul(head, size), e.f32());
      for (auto [j, segment] : llvm::enumerate(some))
        e.store(e.mulF(sums[1 + j], e.splat(inverse, segment.n)), e.at(output, segment.first, e.f32()));
    }
  });
}

} // namespace sinter::cpu
