// SPDX-License-Identifier: Apache-2.0
// Operations of regions that touch memory: stores, the cache, and combined attention.
#include "passes/lowering/Anchors.h"
#include "passes/lowering/gpu/Region.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace sinter::gpu {

/// Runs `store` where `active` is true, always if it is null.
static void guarded(Emitter &e, Value active, llvm::function_ref<void()> store) {
  active ? e.ifThen(active, store) : store();
}

/// 8 lanes of 4 elements are a block: scale = max|x| / 127, integers = round(x / scale), and in global memory
/// scale * sum of the integers (those of a left side in shared memory its owner adds up).
static void storeBlocks(Frame &frame, Value x, kernel::RowsType type, Value pointer, Value column,
                        Value active) {
  Emitter &e = frame.e;
  constexpr int64_t n = 4, lanes = kernel::q8Block / n;
  auto prmt = [&](Value low, Value high, int64_t bytes) {
    return e.intrinsic("llvm.nvvm.prmt", e.i32(), {low, high, e.constant(bytes)});
  };
  Value magnitudes = math::AbsFOp::create(e.b, e.loc, x), largest = e.extract(magnitudes, 0);
  // NaN where an element is NaN, as the scale then is: its integer cannot say so.
  auto raise = [&](Value y) { largest = arith::MaximumFOp::create(e.b, e.loc, largest, y); };
  for (int64_t i = 1; i < n; ++i)
    raise(e.extract(magnitudes, i));
  for (int64_t mask = lanes / 2; mask >= 1; mask /= 2)
    raise(e.shuffleXor(largest, mask));
  Value scale = e.mulF(largest, e.constantF(e.f32(), 1.0 / 127));
  Value zero = e.constantF(e.f32(), 0);
  Value isZero = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ, largest, zero);
  Value inverse = e.select(isZero, zero, e.divF(e.constantF(e.f32(), 127), largest));
  // The last bit of 1.5 * 2^23 counts 1: the sum is rounded to nearest even, and its last byte is the
  // integer.
  Value rounded = e.addF(e.mulF(x, e.splat(inverse, n)), e.constantF(e.vec(n), 0x1.8p23));
  auto bits = [&](int64_t i) { return e.bitcast(e.i32(), e.extract(rounded, i)); };
  Value word = prmt(prmt(bits(0), bits(1), 0x0040), prmt(bits(2), bits(3), 0x0040), 0x5410);
  guarded(e, active, [&] { e.store(word, e.atByte(pointer, column)); });
  Value sum;
  if (!e.isShared(pointer)) {
    sum = e.dot4(e.constant(0x01010101), true, word, e.constant(0));
    for (int64_t mask = lanes / 2; mask >= 1; mask /= 2)
      sum = e.add(sum, e.shuffleXor(sum, mask));
  }
  Value first = e.equal(e.rem(column, kernel::q8Block), e.constant(0));
  guarded(e, e.both(first, active), [&] {
    Value place = e.at(e.atByte(pointer, type.getColumns()), e.div(column, kernel::q8Block), e.f32());
    e.store(scale, place);
    if (sum)
      e.store(e.mulF(e.toFloat(sum), scale), e.at(place, type.getColumns() / kernel::q8Block, e.f32()));
  });
}

void storeColumns(Frame &frame, Value vector, kernel::RowsType type, Value pointer, Value column,
                  Value active) {
  Emitter &e = frame.e;
  if (type.isQuantized())
    return storeBlocks(frame, vector, type, pointer, column, active);
  guarded(e, active,
          [&] { e.storeNarrow(vector, type.getElement(), e.at(pointer, column, type.getElement())); });
}

/// Keys go to a panel of 16 tokens, one element a line of 16; values to a row.
void emitAppend(Frame &frame, kernel::AppendOp op, Value vector, Value row, Value head, Value column,
                Value active) {
  Emitter &e = frame.e;
  Value position = frame.stepEntry(abi::stepPositions, row);
  Value slot = frame.slotOf(op.getCache(), row);
  Value tokens = frame.wideStepField(abi::stepCacheTokens), before = e.mul(e.extend(head), tokens);
  if (auto values = dyn_cast<kernel::CacheVType>(op.getCache().getType())) {
    Value index = e.add(e.mul(e.add(before, e.extend(position)), values.getSize()), e.extend(column));
    guarded(e, active,
            [&] { e.storeNarrow(vector, values.getElement(), e.at(slot, index, values.getElement())); });
    return;
  }
  auto keys = cast<kernel::CacheKType>(op.getCache().getType());
  Value panel = e.mul(e.div(position, kernel::cachePanel), keys.getSize());
  Value line = e.mul(e.add(panel, column), kernel::cachePanel);
  Value index =
      e.add(e.mul(before, keys.getSize()), e.extend(e.add(line, e.rem(position, kernel::cachePanel))));
  Value base = e.at(slot, index, keys.getElement()), narrow = e.narrow(vector, keys.getElement());
  guarded(e, active, [&] {
    for (int64_t i = 0; i < cast<VectorType>(vector.getType()).getDimSize(0); ++i)
      e.store(e.extract(narrow, i), e.at(base, i * kernel::cachePanel, keys.getElement()));
  });
}

Value emitCombine(Frame &frame, kernel::CombineOp op, Value row, Value column, int64_t n) {
  Emitter &e = frame.e;
  kernel::PartialType type = op.getPartial().getType();
  int64_t size = type.getSize(), window = op.getWindow();
  Value position = frame.stepEntry(abi::stepPositions, row);
  Value firstKey = window ? e.max(e.sub(e.add(position, 1), window), e.constant(0)) : e.constant(0);
  Value first = e.div(firstKey, type.getKeys()), end = e.add(e.div(position, type.getKeys()), 1);
  Value chunks = e.ceilDiv(frame.stepField(abi::stepCacheTokens), type.getKeys());
  Value base =
      frame.farAt(frame.buffer(op.getPartial()), e.mul(e.extend(row), e.extend(chunks)), type.getBytes());
  Value head = e.div(column, size);
  auto chunkAt = [&](Value chunk) { return frame.farAt(base, chunk, type.getBytes()); };
  auto maximumAt = [&](Value chunk) {
    return e.at(e.at(chunkAt(chunk), type.getHeads() * size, e.f32()), head, e.f32());
  };
  Value high = e.loop(first, end, 1, e.constantF(e.f32(), invisible), [&](Value chunk, ValueRange carried) {
                  return SmallVector<Value>{combine(e, vector::CombiningKind::MAXNUMF,
                                                    e.load(e.f32(), maximumAt(chunk)), carried[0])};
                }).front();
  SmallVector<Value> sums = {e.constantF(e.f32(), 0), e.zeros(n)};
  sums = e.loop(first, end, 1, sums, [&](Value chunk, ValueRange carried) {
    Value maximum = maximumAt(chunk);
    Value factor = e.exp2(e.subF(e.load(e.f32(), maximum), high));
    Value total = e.load(e.f32(), e.at(maximum, type.getHeads(), e.f32()));
    Value numbers = e.loadWide(e.f32(), n, e.at(chunkAt(chunk), column, e.f32()));
    return SmallVector<Value>{e.fma(factor, total, carried[0]),
                              e.fma(e.splat(factor, n), numbers, carried[1])};
  });
  return e.mulF(sums[1], e.splat(e.divF(e.constantF(e.f32(), 1), sums[0]), n));
}

} // namespace sinter::gpu
