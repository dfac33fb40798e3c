// SPDX-License-Identifier: Apache-2.0
// kernel.attention decode: a tile is one row, one key head with all query heads that share it, and a chunk of
// keys (or all keys). For scores a thread has a token, as keys lie in panels with a token a lane; every key
// that it reads serves all query heads. Then a warp a head makes weights of the scores; for the weighted sum
// a thread has some columns of the values of every nth token, and what these threads have is added up at the
// end.
#include "passes/lowering/gpu/Emitters.h"
#include "passes/lowering/gpu/Team.h"
#include "passes/lowering/gpu/attention/Attention.h"

using namespace mlir;

namespace sinter::gpu {
namespace {

constexpr int64_t headsAtOnce = 8; // whose sums are in registers

class DecodeAttention {
public:
  DecodeAttention(Frame &frame, kernel::AttentionOp op) : frame(frame), e(frame.e), shape(op) {
    frame.threads = 128;
    frame.blocksPerSm = 6; // up to 80 registers
    partial = dyn_cast<kernel::PartialType>(op.getOutput().getType());
    blockKeys = partial ? partial.getKeys() : 256;
    columns = shape.valueSize % 4 ? 1 : 4;
    while (columnThreads * columns < shape.valueSize)
      columnThreads *= 2;
    parts = std::max<int64_t>(1, frame.threads / columnThreads);
    query = frame.allocate(shape.group * shape.keySize * 4);
    scores = frame.allocate(shape.group * blockKeys * 4);
    sums = frame.allocate(parts * shape.group * shape.valueSize * 4);
    maxima = frame.allocate(shape.group * 4);
    totals = frame.allocate(shape.group * 4);
    corrections = frame.allocate(shape.group * 4);
  }

  LogicalResult emit() {
    if (columnThreads > frame.threads || frame.sharedBytes > maxSharedBytes(frame.e.architecture))
      return shape.op.emitOpError() << "expected heads that fit " << maxSharedBytes(frame.e.architecture)
                                    << " bytes of shared memory and " << frame.threads * columns
                                    << " columns, found a group of " << shape.group << " heads of "
                                    << shape.valueSize;
    // LLVM reads such arrays four numbers at a time: what is behind the last head is a number, too.
    frame.share(e.constant(llvm::alignTo(shape.group, 4)), [&](Value i) {
      for (Value array : {maxima, totals, corrections})
        e.store(e.constantF(e.f32(), 0), e.at(array, i, e.f32()));
    });
    forEachTile(frame, shape.op.getGrid(), [&](Value keyHead, Value row, Value, Value chunk) {
      Value position = frame.stepEntry(abi::stepPositions, row);
      Value from = shape.firstKey(e, position), to = e.add(position, 1);
      if (partial) {
        from = e.max(from, e.mul(chunk, blockKeys));
        to = e.min(to, e.mul(e.add(chunk, 1), blockKeys));
      }
      e.ifThen(e.less(from, to), [&] { emitTile(keyHead, row, position, from, to, chunk); });
    });
    return success();
  }

private:
  void emitTile(Value keyHead, Value row, Value position, Value from, Value to, Value chunk);
  /// Keys from `from` on, up to a block of them; `isFirst`: nothing is there yet.
  void emitBlock(Value from, Value to, bool isFirst);
  void score(Value from, Value count);
  void weigh(Value count, bool isFirst);
  void accumulate(Value from, Value count, bool isFirst);
  Value scoreAt(Value head, Value index) {
    return e.at(scores, e.add(e.mul(head, blockKeys), index), e.f32());
  }
  void eachHeads(llvm::function_ref<void(int64_t first, int64_t count)> body) {
    for (int64_t first = 0; first < shape.group; first += headsAtOnce)
      body(first, std::min(headsAtOnce, shape.group - first));
  }

  Frame &frame;
  Emitter &e;
  AttentionShape shape;
  kernel::PartialType partial;
  int64_t blockKeys, columns, columnThreads = 1, parts;
  Value query, scores, sums; // shared: (group, key size), (group, blockKeys), (parts, group, value size)
  Value maxima, totals, corrections;  // shared: (group)
  Value keys, values, position, head; // of the tile
};

void DecodeAttention::emitTile(Value keyHead, Value row, Value at, Value from, Value to, Value chunk) {
  position = at;
  head = e.mul(keyHead, shape.group);
  Value slot = frame.stepEntry(abi::stepSlots, row);
  keys = shape.keysOf(frame, slot, keyHead);
  values = shape.valuesOf(frame, slot, keyHead);
  shape.copyQuery(frame, row, head, shape.group, query);
  e.barrier();
  emitBlock(from, to, /*isFirst=*/true);
  if (!partial)
    e.loop(e.add(from, blockKeys), to, blockKeys,
           [&](Value begin) { emitBlock(begin, to, /*isFirst=*/false); });
  // Parts are added up; a chunk leaves its maximum and total, too.
  Value base;
  if (partial) {
    Value chunks = e.ceilDiv(frame.stepField(abi::stepCacheTokens), blockKeys);
    Value index = e.add(e.mul(e.extend(row), e.extend(chunks)), e.extend(chunk));
    base = frame.farAt(frame.buffer(shape.op.getOutput()), index, partial.getBytes());
  } else {
    base = frame.rowOf(shape.op.getOutput(), row);
  }
  Value output = e.at(base, e.mul(head, shape.valueSize), e.f32());
  frame.share(e.constant(shape.group * shape.valueSize), [&](Value i) {
    Value sum = e.constantF(e.f32(), 0);
    for (int64_t part = 0; part < parts; ++part)
      sum = e.addF(
          sum, e.load(e.f32(), e.at(e.at(sums, i, e.f32()), part * shape.group * shape.valueSize, e.f32())));
    if (!partial)
      sum = e.divF(sum, e.load(e.f32(), e.at(totals, e.div(i, shape.valueSize), e.f32())));
    e.store(sum, e.at(output, i, e.f32()));
  });
  if (!partial)
    return;
  Value statistics = e.at(e.at(base, shape.heads * shape.valueSize, e.f32()), head, e.f32());
  frame.share(e.constant(shape.group), [&](Value i) {
    Value place = e.at(statistics, i, e.f32());
    e.store(e.load(e.f32(), e.at(maxima, i, e.f32())), place);
    e.store(e.load(e.f32(), e.at(totals, i, e.f32())), e.at(place, shape.heads, e.f32()));
  });
}

void DecodeAttention::emitBlock(Value from, Value to, bool isFirst) {
  Value count = e.min(e.sub(to, from), e.constant(blockKeys));
  score(from, count);
  e.barrier();
  weigh(count, isFirst);
  e.barrier();
  accumulate(from, count, isFirst);
  e.barrier();
}

void DecodeAttention::score(Value from, Value count) {
  int64_t n = shape.keySize % 4 ? 1 : 4;
  frame.share(count, [&](Value index) {
    Value token = e.add(from, index), key = shape.keyAt(frame, keys, token);
    eachHeads([&](int64_t first, int64_t heads) {
      SmallVector<Value> products(heads, e.constantF(e.f32(), 0));
      products =
          e.loop(e.constant(0), e.constant(shape.keySize), n, products, [&](Value d, ValueRange carried) {
            SmallVector<Value> next(carried), x;
            Value line = e.at(key, e.mul(d, kernel::cachePanel), shape.element);
            for (int64_t i = 0; i < n; ++i)
              x.push_back(e.loadWide(shape.element, e.at(line, i * kernel::cachePanel, shape.element)));
            for (int64_t h = 0; h < heads; ++h) {
              Value q =
                  e.loadWide(e.f32(), n, e.at(e.at(query, (first + h) * shape.keySize, e.f32()), d, e.f32()));
              for (int64_t i = 0; i < n; ++i)
                next[h] = e.fma(e.extract(q, i), x[i], next[h]);
            }
            return next;
          });
      for (int64_t h = 0; h < heads; ++h) {
        Value number = e.constant(first + h);
        Value result = shape.finishScore(frame, products[h], e.add(head, number), e.sub(token, position));
        e.store(result, scoreAt(number, index));
      }
    });
  });
}

/// Weights 2^(score - maximum), their sums, and the factor for what earlier blocks left.
void DecodeAttention::weigh(Value count, bool isFirst) {
  Team warp = Team::ofWarp(frame, warpSize);
  Value low = e.constantF(e.f32(), invisible), zero = e.constantF(e.f32(), 0);
  e.loop(frame.warp(), e.constant(shape.group), frame.warps(), [&](Value h) {
    Value largest =
        e.loop(warp.lane, count, warpSize, low, [&](Value i, ValueRange carried) {
           Value score = e.load(e.f32(), scoreAt(h, i));
           return SmallVector<Value>{combine(e, vector::CombiningKind::MAXNUMF, carried[0], score)};
         }).front();
    largest = warp.max(frame, largest);
    Value maximum = e.at(maxima, h, e.f32()), total = e.at(totals, h, e.f32());
    Value before = isFirst ? low : e.load(e.f32(), maximum);
    Value high = isFirst ? largest : combine(e, vector::CombiningKind::MAXNUMF, before, largest);
    Value sum = e.loop(warp.lane, count, warpSize, zero, [&](Value i, ValueRange carried) {
                   Value weight = e.exp2(e.subF(e.load(e.f32(), scoreAt(h, i)), high));
                   e.store(weight, scoreAt(h, i));
                   return SmallVector<Value>{e.addF(carried[0], weight)};
                 }).front();
    sum = warp.sum(frame, sum);
    e.warpBarrier(); // all lanes have read what the first one writes
    e.ifThen(e.equal(warp.lane, e.constant(0)), [&] {
      e.store(high, maximum);
      if (isFirst)
        return e.store(sum, total);
      Value correction = e.exp2(e.subF(before, high));
      e.store(e.fma(e.load(e.f32(), total), correction, sum), total);
      e.store(correction, e.at(corrections, h, e.f32()));
    });
  });
}

/// sums = sums * correction + weights * values.
void DecodeAttention::accumulate(Value from, Value count, bool isFirst) {
  Value column = e.mul(e.rem(frame.thread, columnThreads), columns),
        part = e.div(frame.thread, columnThreads);
  e.ifThen(e.less(column, e.constant(shape.valueSize)), [&] {
    eachHeads([&](int64_t first, int64_t heads) {
      auto place = [&](int64_t h) {
        Value line = e.add(e.mul(part, shape.group), first + h);
        return e.at(sums, e.add(e.mul(line, shape.valueSize), column), e.f32());
      };
      SmallVector<Value> sum;
      for (int64_t h = 0; h < heads; ++h) {
        if (isFirst) {
          sum.push_back(e.zeros(columns));
          continue;
        }
        Value factor = e.load(e.f32(), e.at(corrections, first + h, e.f32()));
        sum.push_back(e.mulF(e.loadWide(e.f32(), columns, place(h)), e.splat(factor, columns)));
      }
      sum = e.loop(part, count, parts, sum, [&](Value index, ValueRange carried) {
        SmallVector<Value> next;
        Value v =
            e.loadWide(shape.element, columns, shape.valueAt(frame, values, e.add(from, index), column));
        for (int64_t h = 0; h < heads; ++h) {
          Value weight = e.load(e.f32(), scoreAt(e.constant(first + h), index));
          next.push_back(e.fma(e.splat(weight, columns), v, carried[h]));
        }
        return next;
      });
      for (int64_t h = 0; h < heads; ++h)
        e.storeAligned(sum[h], place(h));
    });
  });
}

} // namespace

LogicalResult emitDecodeAttention(Frame &frame, kernel::AttentionOp op) {
  return DecodeAttention(frame, op).emit();
}

} // namespace sinter::gpu
