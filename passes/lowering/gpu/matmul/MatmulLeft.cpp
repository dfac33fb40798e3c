// SPDX-License-Identifier: Apache-2.0
// Prepares rows of the left side: the prologue or a copy, quantisation, and sums of the integers.
#include "passes/lowering/gpu/matmul/MatmulLeft.h"

#include "passes/lowering/gpu/Mma.h"
#include "passes/lowering/gpu/Region.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter::gpu {

/// Of pieces: their columns are a multiple of this.
static constexpr int64_t pieceUnit = 512;

LeftSide::LeftSide(Matmul &m, int64_t most, int64_t budget) : m(m), e(m.e), team(Team::ofBlock(m.frame)) {
  plan();
  bool isLong = needsFloats && paddedInputs() * 4 > maxSharedBytes(e.architecture) - reservedBytes;
  far = isLong && m.op.getLeft();
  if (isLong && !far) { // the prologue makes a piece at a time
    int64_t room = maxSharedBytes(e.architecture) - reservedBytes - rowBytes();
    pieceColumns = std::max<int64_t>(std::min(room, budget) / 4 / pieceUnit * pieceUnit, pieceUnit);
  }
  if (needsFloats && !far)
    floatBytes = pieceColumns * 4;
  allocate(most, budget);
}

LeftSide::LeftSide(Matmul &m, int64_t most, int64_t budget, int64_t shift, bool cuts)
    : m(m), e(m.e), team(Team::ofBlock(m.frame)), shift(shift), cuts(cuts) {
  plan();
  if (needsFloats) {
    assert(!needsIntegers && "products of one kind");
    int64_t parts = cuts ? 2 : 1, room = budget / most / 4 / parts;
    if (paddedInputs() > room)
      pieceColumns = std::max<int64_t>(room / pieceUnit * pieceUnit, pieceUnit);
    floatBytes = parts * llvm::alignTo(pieceColumns * 4, 128) + shift;
    budget = most * floatBytes;
  } else {
    quantBytes = llvm::alignTo(quantBytes, 128) + shift;
  }
  allocate(most, budget);
}

void LeftSide::plan() {
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
}

void LeftSide::allocate(int64_t most, int64_t budget) {
  for (capacity = most; capacity > 1 && capacity * rowBytes() > budget;)
    capacity /= 2;
  if (floatBytes)
    floatRows = m.frame.allocate(capacity * floatBytes);
  if (needsIntegers)
    quantRows = m.frame.allocate(capacity * quantBytes);
  for (SumPlane &plane : planes)
    plane.address = m.frame.allocate(capacity * sumBytes(plane.subBlock));
}

int64_t LeftSide::rowBytes() const {
  int64_t bytes = floatBytes + quantBytes;
  for (const SumPlane &plane : planes)
    bytes += sumBytes(plane.subBlock);
  return bytes;
}

Value LeftSide::sums(Value row, int64_t subBlock) {
  for (const SumPlane &plane : planes)
    if (plane.subBlock == subBlock)
      return e.atByte(plane.address, e.mul(row, sumBytes(subBlock)));
  llvm_unreachable("sums were reserved for every format that needs them");
}

LogicalResult LeftSide::prepare(Value first, Value count, int64_t number, Value stores) {
  LogicalResult result = success();
  begin = number * pieceColumns;
  if (isCopied())
    copyRows(first, count);
  else
    e.loop(e.constant(0), count, 1, [&](Value row) { result = prepareRow(first, row, stores); });
  if (needsIntegers)
    fill(m.inputs / kernel::weightBlock, count, [&](Value row) { return scales(row); });
  e.barrier();
  if (cuts && !isCopied()) {
    cutRows(count);
    e.barrier();
  }
  if (planes.empty() || number + 1 < pieces())
    return result;
  for (const SumPlane &plane : planes) {
    addSums(plane, count);
    fill(m.inputs / plane.subBlock, count, [&](Value row) { return sums(row, plane.subBlock); });
  }
  e.barrier();
  return result;
}

/// Numbers of blocks up to a multiple of 4: LLVM loads four at once and drops those that there are not.
void LeftSide::fill(int64_t numbers, Value count, llvm::function_ref<Value(Value)> rowAt) {
  int64_t missing = llvm::alignTo(numbers, 4) - numbers;
  if (!shift || !missing)
    return;
  m.frame.share(e.mul(count, missing), [&](Value i) {
    Value place = e.at(rowAt(e.div(i, missing)), e.add(e.rem(i, missing), numbers), e.i32());
    e.store(e.constant(0), place);
  });
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

/// A thread takes the same columns of all rows.
void LeftSide::copyRows(Value firstRow, Value count) {
  constexpr int64_t unroll = 4;
  kernel::RowsType type = m.op.getLeft().getType();
  int64_t n = m.inputs % 4 ? 1 : 4, end = std::min(piece().second, m.inputs);
  e.loop(e.add(e.mul(m.frame.thread, n), begin), e.constant(end), m.frame.threads * n, [&](Value column) {
    auto copy = [&](int64_t rows) {
      return [&, rows](Value row) {
        Value from = m.frame.rowOf(m.op.getLeft(), e.add(firstRow, row));
        from = e.at(from, column, type.getElement());
        Value to = e.at(floats(row), e.sub(column, begin), e.f32());
        SmallVector<Value> numbers; // all loads first
        for (int64_t r = 0; r < rows; ++r)
          numbers.push_back(e.loadWide(type.getElement(), n, e.atByte(from, r * type.getRowBytes())));
        for (int64_t r = 0; r < rows; ++r)
          storeCut(numbers[r], e.atByte(to, r * floatBytes));
      };
    };
    Value whole = e.mul(e.div(count, unroll), unroll);
    e.loop(e.constant(0), whole, unroll, copy(unroll));
    e.loop(whole, count, 1, copy(1));
  });
}

void LeftSide::storeCut(Value vector, Value to) {
  if (!cuts)
    return e.storeAligned(vector, to);
  SmallVector<Value> parts[2];
  for (int64_t i = 0, n = cast<VectorType>(vector.getType()).getDimSize(0); i < n; ++i)
    for (auto [part, number] : llvm::enumerate(cutToTf32(e, e.extract(vector, i))))
      parts[part].push_back(number);
  e.storeAligned(e.pack(parts[0]), to);
  e.storeAligned(e.pack(parts[1]), e.atByte(to, cutBytes()));
}

/// In their place.
void LeftSide::cutRows(Value count) {
  constexpr int64_t n = 4; // tensor cores take whole steps
  int64_t each = (std::min(piece().second, m.inputs) - begin) / n;
  m.frame.share(e.mul(count, each), [&](Value i) {
    Value place = e.at(floats(e.div(i, each)), e.mul(e.rem(i, each), n), e.f32());
    storeCut(e.loadWide(e.f32(), n, place), place);
  });
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
    forColumns(begin, std::min(piece().second, m.inputs), n, [&](Value column, Value inside) {
      guarded(inside, loadNumbers(from, column, n), e.at(floats(row), e.sub(column, begin), e.f32()));
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
  int64_t each = m.inputs / plane.subBlock, loads = plane.subBlock / 16;
  Type four = e.vec(4, e.i32());
  m.frame.share(e.mul(count, each), [&](Value item) {
    Value row = e.div(item, each), sub = e.rem(item, each), sum = e.constant(0);
    Value place = e.atByte(integers(row), e.mul(sub, plane.subBlock));
    // Of 32 integers, lanes whose blocks are 128 bytes apart begin with different halves: no bank has two.
    Value turn = e.rem(e.div(item, 4), loads);
    for (int64_t i = 0; i < loads; ++i) {
      Value words = e.loadAligned(four, e.atByte(place, e.mul(e.bitXor(turn, e.constant(i)), 16)));
      for (int64_t k = 0; k < 4; ++k)
        sum = e.dot4(e.constant(0x01010101), true, e.extract(words, k), sum);
    }
    e.store(sum, e.at(sums(row, plane.subBlock), sub, e.i32()));
  });
}

} // namespace sinter::gpu
