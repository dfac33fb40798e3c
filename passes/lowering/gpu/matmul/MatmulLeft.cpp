// SPDX-License-Identifier: Apache-2.0
// Prepares rows of the left side: the prologue or a copy, quantisation, and sums of the integers.
#include "passes/lowering/gpu/matmul/MatmulLeft.h"

#include "passes/lowering/gpu/Region.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {

/// Shared memory for the left side: accumulators and what regions keep need the rest.
static constexpr int64_t budget = 56 * 1024;

LeftSide::LeftSide(Matmul &m, int64_t most) : m(m), e(m.e), team(Team::ofBlock(m.frame)) {
  MLIRContext *context = e.b.getContext();
  for (const kernel::WeightLayout &layout : m.layouts) {
    (layout.isFloat() ? needsFloats : needsIntegers) = true;
    bool hasSums = !layout.isFloat() && (layout.block.zero || layout.block.minima);
    auto same = [&](const SumPlane &plane) { return plane.subBlock == layout.block.subBlock; };
    if (hasSums && llvm::none_of(planes, same))
      planes.push_back({layout.block.subBlock, Value()});
  }
  floatType = kernel::RowsType::get(context, m.inputs, e.f32());
  if (needsIntegers) {
    quantType = kernel::RowsType::get(context, m.inputs, kernel::Q8Type::get(context));
    quantBytes = quantType.getRowBytes();
  }
  pieceColumns = paddedInputs();
  bool isLong = needsFloats && paddedInputs() * 4 > maxSharedBytes(e.architecture) - reservedBytes;
  far = isLong && m.op.getLeft();
  if (isLong && !far) { // the prologue makes a piece at a time
    int64_t room = maxSharedBytes(e.architecture) - reservedBytes - rowBytes();
    pieceColumns = std::max<int64_t>(std::min(room, budget) / 4 / 512 * 512, 512);
  }
  if (needsFloats && !far)
    floatBytes = pieceColumns * 4;
  for (capacity = most; capacity > 1 && capacity * rowBytes() > budget;)
    capacity /= 2;
  if (needsFloats && !far)
    floatRows = m.frame.allocate(capacity * floatBytes);
  if (needsIntegers)
    quantRows = m.frame.allocate(capacity * quantBytes);
  for (SumPlane &plane : planes)
    plane.address = m.frame.allocate(capacity * (m.inputs / plane.subBlock) * 4);
}

int64_t LeftSide::rowBytes() const {
  int64_t bytes = floatBytes + quantBytes;
  for (const SumPlane &plane : planes)
    bytes += m.inputs / plane.subBlock * 4;
  return bytes;
}

Value LeftSide::sums(Value row, int64_t subBlock) {
  for (const SumPlane &plane : planes)
    if (plane.subBlock == subBlock)
      return e.atByte(plane.address, e.mul(row, m.inputs / subBlock * 4));
  llvm_unreachable("sums were reserved for every format that needs them");
}

LogicalResult LeftSide::prepare(Value first, Value count, int64_t number, Value stores) {
  LogicalResult result = success();
  begin = number * pieceColumns;
  e.loop(e.constant(0), count, 1, [&](Value row) { result = prepareRow(first, row, stores); });
  e.barrier();
  if (planes.empty() || number + 1 < pieces())
    return result;
  for (const SumPlane &plane : planes)
    addSums(plane, count);
  e.barrier();
  return result;
}

void LeftSide::forColumns(int64_t low, int64_t high, int64_t n, llvm::function_ref<void(Value, Value)> body) {
  e.loop(e.constant(low), e.constant(high), m.frame.threads * n, [&](Value first) {
    Value column = e.add(first, e.mul(m.frame.thread, n));
    body(e.min(column, e.constant(high - n)), e.less(column, e.constant(high)));
  });
}

LogicalResult LeftSide::prepareRow(Value first, Value row, Value stores) {
  Value absolute = e.add(first, row);
  if (far && !needsIntegers)
    return success();
  int64_t end = std::min(piece().second, m.inputs);
  RowDestination quants{quantRows ? integers(row) : Value(), quantType},
      numbers{floatRows ? floats(row) : Value(), floatType, begin, end};
  if (needsFloats && !far && piece().second > m.inputs)
    m.frame.share(e.constant(paddedInputs() - m.inputs), [&](Value i) {
      e.store(e.constantF(e.f32(), 0), e.at(floats(row), e.add(i, m.inputs - begin), e.f32()));
    });
  if (m.op.getLeft()) {
    copyRow(row, absolute);
    return success();
  }
  if (failed(emitRegion(m.frame, m.op.getLhs(), {absolute}, {1}, team, stores,
                        needsFloats ? &numbers : &quants)))
    return failure();
  if (needsFloats && needsIntegers) {
    e.barrier();
    forColumns(begin, end, 4, [&](Value column, Value inside) {
      Value x = e.loadWide(e.f32(), 4, e.at(numbers.pointer, e.sub(column, begin), e.f32()));
      storeColumns(m.frame, x, quantType, quants.pointer, column, inside);
    });
  }
  return success();
}

void LeftSide::copyRow(Value row, Value absolute) {
  kernel::RowsType type = m.op.getLeft().getType();
  Value from = m.frame.rowOf(m.op.getLeft(), absolute);
  bool given = type.isQuantized();
  int64_t n = m.inputs % 4 ? 1 : 4;
  auto guarded = [&](Value inside, Value vector, Value pointer) {
    e.ifThen(inside, [&] { e.storeAligned(vector, pointer); });
  };
  if (needsIntegers && given) // integers and scales, by words
    m.frame.share(e.constant((m.inputs + m.inputs / kernel::q8Block * 4) / 4), [&](Value word) {
      e.store(e.load(e.i32(), e.at(from, word, e.i32())), e.at(integers(row), word, e.i32()));
    });
  if (needsIntegers && !given)
    forColumns(0, m.inputs, 4, [&](Value column, Value inside) {
      Value x = e.loadWide(type.getElement(), 4, e.at(from, column, type.getElement()));
      storeColumns(m.frame, x, quantType, integers(row), column, inside);
    });
  if (needsFloats && !far)
    forColumns(0, m.inputs, n, [&](Value column, Value inside) {
      guarded(inside, loadNumbers(from, column, n), e.at(floats(row), column, e.f32()));
    });
}

Value LeftSide::loadNumbers(Value from, Value column, int64_t n) {
  kernel::RowsType type = m.op.getLeft().getType();
  if (!type.isQuantized())
    return e.loadWide(type.getElement(), n, e.at(from, column, type.getElement()));
  Value scale = e.load(e.f32(), e.at(e.atByte(from, m.inputs), e.div(column, kernel::q8Block), e.f32()));
  Value bytes = e.loadAligned(e.vec(n, e.i8()), e.atByte(from, column));
  Value words = arith::ExtSIOp::create(e.b, e.loc, e.vec(n, e.i32()), bytes);
  return e.mulF(arith::SIToFPOp::create(e.b, e.loc, e.vec(n), words), e.splat(scale, n));
}

Value LeftSide::numbers(Value row, Value column, int64_t n) {
  if (!far)
    return e.loadWide(e.f32(), n, e.at(floats(row), e.sub(column, begin), e.f32()));
  Value from = m.frame.rowOf(m.op.getLeft(), e.add(first, row));
  if (m.inputs % paddedInputs() == 0)
    return loadNumbers(from, column, n);
  SmallVector<Value> each;
  for (int64_t i = 0; i < n; ++i) { // behind the last one are zeros
    Value at = e.add(column, i), x = loadNumbers(from, e.min(at, e.constant(m.inputs - 1)), 1);
    each.push_back(e.select(e.less(at, e.constant(m.inputs)), e.extract(x, 0), e.constantF(e.f32(), 0)));
  }
  return e.pack(each);
}

void LeftSide::addSums(const SumPlane &plane, Value count) {
  int64_t each = m.inputs / plane.subBlock;
  m.frame.share(e.mul(count, each), [&](Value item) {
    Value row = e.div(item, each), sub = e.rem(item, each), sum = e.constant(0);
    Value words = e.atByte(integers(row), e.mul(sub, plane.subBlock));
    for (int64_t i = 0; i < plane.subBlock / 4; ++i)
      sum = e.dot4(e.constant(0x01010101), true, e.load(e.i32(), e.at(words, i, e.i32())), sum);
    e.store(sum, e.at(plane.address, item, e.i32()));
  });
}

} // namespace sinter::gpu
