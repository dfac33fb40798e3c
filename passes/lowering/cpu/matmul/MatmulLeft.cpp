// SPDX-License-Identifier: Apache-2.0
// Prepares rows of the left side: the prologue, quantisation, and sums of the integers.
#include "passes/lowering/cpu/matmul/MatmulLeft.h"

#include "passes/lowering/cpu/Rounding.h"
#include "passes/lowering/cpu/RowProgram.h"
#include "passes/lowering/cpu/matmul/MatmulBlock.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace sinter::cpu {

Left Left::fromRow(Emitter &e, Value row) const {
  return {halves.fromRow(e, row), floats.fromRow(e, row), integers.fromRow(e, row),
          scales.fromRow(e, row), sums.fromRow(e, row),   zeros.fromRow(e, row)};
}

LeftSide::LeftSide(Matmul &m, int64_t capacity, LeftUse use) : m(m), e(m.e), use(use) {
  if (use == LeftUse::InBlocks)
    return;
  int64_t columns = m.inputs;
  floatType = kernel::RowsType::get(e.b.getContext(), columns, e.f32());
  for (const kernel::WeightLayout &layout : m.layouts)
    (isBf16(layout, use) ? needsHalves : layout.isFloat() ? needsFloats : needsIntegers) = true;
  auto left = m.op.getLeft();
  Type given = left ? left.getType().getElement() : Type();
  bool givenQuantized = left && left.getType().isQuantized();
  if (needsFloats && !(left && given.isF32() && use != LeftUse::Rounded))
    floatRows = m.frame.allocate(capacity * floatType.getRowBytes());
  if (needsHalves) {
    halfType = kernel::RowsType::get(e.b.getContext(), columns, e.bf16());
    // Pairs of a row as it is given; tiles of AMX read whole ones.
    if (left && given.isBF16() && columns % 2 == 0 && !e.target.amx()) {
      halfStride = halfType.getRowBytes();
    } else {
      halfStride = llvm::alignTo(columns, 32) * 2;
      halfRows = m.frame.allocate(capacity * halfStride);
    }
  }
  if (!needsIntegers)
    return;
  quantType = kernel::RowsType::get(e.b.getContext(), columns, kernel::Q8Type::get(e.b.getContext()));
  if (!givenQuantized)
    quantRows = m.frame.allocate(capacity * quantType.getRowBytes());
  for (const kernel::WeightLayout &layout : m.layouts) {
    if (layout.isFloat() || isBf16(layout, use))
      continue;
    auto reserve = [&](int64_t zero) {
      for (const SumPlane &plane : sums)
        if (plane.subBlock == layout.block.subBlock && plane.zero == zero)
          return;
      sums.push_back(
          {layout.block.subBlock, zero, m.frame.allocate(capacity * columns / layout.block.subBlock * 4)});
    };
    if (int64_t zero = zeroOf(layout.block, e.target))
      reserve(zero);
    if (layout.block.minima && layout.block.subBlock < kernel::q8Block)
      reserve(0);
  }
}

LogicalResult LeftSide::prepare(Value first, Value count) {
  if (use == LeftUse::InBlocks)
    return success();
  auto left = m.op.getLeft();
  floats = {floatRows, floatType.getRowBytes()};
  halves = {halfRows, halfStride};
  quants = {quantRows, quantType ? quantType.getRowBytes() : 0};
  if (needsFloats && !floatRows)
    floats.address = m.frame.rowOf(left, first);
  if (needsHalves && !halfRows)
    halves.address = m.frame.rowOf(left, first);
  if (needsIntegers && !quantRows)
    quants.address = m.frame.rowOf(left, first);
  bool nothingToDo = !floatRows && !quantRows && !halfRows && sums.empty();
  if (nothingToDo)
    return success();
  LogicalResult result = success();
  e.loop(e.constant(0), count, 1, [&](Value row) { result = prepareRow(first, row); });
  return result;
}

LogicalResult LeftSide::prepareRow(Value first, Value row) {
  auto left = m.op.getLeft();
  Value absolute = e.add(first, row);
  Value floatRow = floats.fromRow(e, row).address, quantRow = quants.fromRow(e, row).address,
        halfRow = halves.fromRow(e, row).address;
  if (!left) {
    // The region runs once; what it does not yield itself is made from what it yields.
    RowDestination destination = needsFloats     ? RowDestination{floatRow, floatType}
                                 : needsIntegers ? RowDestination{quantRow, quantType}
                                                 : RowDestination{halfRow, halfType};
    if (failed(emitRow(m.frame, m.op.getLhs(), absolute, &destination)))
      return failure();
    if (use == LeftUse::Rounded && needsFloats)
      convert(floatType, floatRow, e.f32(), floatRow);
    if (needsFloats && needsIntegers)
      quantize(e.f32(), floatRow, quantRow);
    if (needsHalves && (needsFloats || needsIntegers))
      convert(destination.type, destination.pointer, e.bf16(), halfRow);
  } else {
    Value from = m.frame.rowOf(left, absolute);
    if (quantRows)
      quantize(left.getType().getElement(), from, quantRow);
    if (floatRows)
      convert(left.getType(), from, e.f32(), floatRow);
    if (halfRows)
      convert(left.getType(), from, e.bf16(), halfRow);
  }
  if (int64_t padding = halfStride / 2 - m.inputs; halfRows && padding) {
    Value end = e.atByte(halfRow, m.inputs * 2);
    e.store(e.constantI(e.vec(padding, e.i16()), 0), end);
  }
  for (const SumPlane &plane : sums)
    addSums(plane, row);
  return success();
}

void LeftSide::quantize(Type element, Value from, Value to) {
  constexpr int64_t n = kernel::q8Block;
  e.loop(e.constant(0), e.constant(m.inputs), n, [&](Value column) {
    storeColumns(e, e.loadWide(element, n, e.at(from, column, element)), quantType, to, column);
  });
}

void LeftSide::convert(kernel::RowsType type, Value from, Type element, Value to) {
  if (type.isQuantized()) {
    constexpr int64_t n = kernel::q8Block;
    return e.loop(e.constant(0), e.constant(m.inputs / n), 1, [&](Value block) {
      Value column = e.mul(block, n);
      Value scale = e.load(e.f32(), e.at(e.atByte(from, m.inputs), block, e.f32()));
      Value integers = e.load(e.vec(n, e.i8()), e.atByte(from, column));
      Value numbers = arith::SIToFPOp::create(e.b, e.loc, e.vec(n), integers);
      e.storeNarrow(e.mulF(numbers, e.splat(scale, n)), element, e.at(to, column, element));
    });
  }
  int64_t n = e.target.lanes(), whole = m.inputs / n * n;
  auto copy = [&](Value column, int64_t length) {
    Value numbers = e.loadWide(type.getElement(), length, e.at(from, column, type.getElement()));
    if (use == LeftUse::Rounded && element.isF32())
      numbers = roundToBf16(e, numbers);
    e.storeNarrow(numbers, element, e.at(to, column, element));
  };
  e.loop(e.constant(0), e.constant(whole), n, [&](Value column) { copy(column, n); });
  if (whole < m.inputs)
    copy(e.constant(whole), m.inputs - whole);
}

void LeftSide::addSums(const SumPlane &plane, Value row) {
  int64_t blocks = m.inputs / kernel::q8Block, count = m.inputs / plane.subBlock;
  Value integers = quants.fromRow(e, row).address, scales = e.atByte(integers, m.inputs);
  Value to = e.atByte(plane.address, e.mul(row, count * 4));
  if (plane.subBlock == kernel::q8Block) {
    // The row holds scale * sum: the quotient is within 0.001 of the integer.
    auto chunk = [&](Value block, int64_t n) {
      Value scale = e.load(e.vec(n), e.at(scales, block, e.f32()));
      Value sum = e.load(e.vec(n), e.at(e.atByte(scales, blocks * 4), block, e.f32()));
      Value isZero = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ, scale, e.zeros(n));
      Value quotient = e.select(isZero, e.zeros(n), e.divF(sum, scale));
      Value integer = arith::FPToSIOp::create(e.b, e.loc, e.vec(n, e.i32()),
                                              math::RoundEvenOp::create(e.b, e.loc, quotient).getResult());
      Value product = arith::MulIOp::create(e.b, e.loc, integer, e.constantI(integer.getType(), -plane.zero));
      e.store(product, e.at(to, block, e.i32()));
    };
    int64_t n = e.target.lanes(), whole = blocks / n * n;
    e.loop(e.constant(0), e.constant(whole), n, [&](Value block) { chunk(block, n); });
    if (whole < blocks)
      chunk(e.constant(whole), blocks - whole);
    return;
  }
  e.loop(e.constant(0), e.constant(blocks), 1, [&](Value block) {
    for (int64_t i = 0; i < kernel::q8Block / plane.subBlock; ++i) {
      Value bytes = e.load(e.vec(plane.subBlock, e.i8()),
                           e.atByte(integers, e.add(e.mul(block, kernel::q8Block), i * plane.subBlock)));
      Value words = arith::ExtSIOp::create(e.b, e.loc, e.vec(plane.subBlock, e.i32()), bytes);
      Value sum = vector::ReductionOp::create(e.b, e.loc, vector::CombiningKind::ADD, words);
      Value address = e.at(to, e.add(e.mul(block, kernel::q8Block / plane.subBlock), i), e.i32());
      if (plane.zero) {
        e.store(arith::MulIOp::create(e.b, e.loc, sum, e.constantI(e.i32(), -plane.zero)), address);
      } else {
        Value scale = e.load(e.f32(), e.at(scales, block, e.f32()));
        e.store(e.mulF(arith::SIToFPOp::create(e.b, e.loc, e.f32(), sum), scale), address);
      }
    }
  });
}

Left LeftSide::of(const kernel::WeightLayout &layout) const {
  Left left;
  if (isBf16(layout, use)) {
    left.halves = halves;
    return left;
  }
  if (layout.isFloat()) {
    left.floats = floats;
    return left;
  }
  int64_t blocks = m.inputs / kernel::q8Block;
  left.integers = quants;
  left.scales = {e.atByte(quants.address, m.inputs), quants.stride};
  left.sums = {e.atByte(quants.address, m.inputs + blocks * 4), quants.stride};
  for (const SumPlane &plane : sums) {
    if (plane.subBlock != layout.block.subBlock)
      continue;
    LeftPlane found{plane.address, m.inputs / plane.subBlock * 4};
    if (!plane.zero)
      left.sums = found;
    else if (plane.zero == zeroOf(layout.block, e.target))
      left.zeros = found;
  }
  return left;
}

} // namespace sinter::cpu
