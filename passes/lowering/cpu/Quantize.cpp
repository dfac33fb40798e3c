// SPDX-License-Identifier: Apache-2.0
// Stores of f32 vectors into rows of any element type; q8 is quantised in blocks of 32.
#include "passes/lowering/cpu/RowProgram.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace sinter::cpu {

/// One block: scale = max|x| / 127, integers = round(x / scale), and scale * sum of the integers.
static void storeBlock(Emitter &e, Value x, Value integers, Value scales, Value sums) {
  constexpr int64_t n = kernel::q8Block;
  Value largest = e.maxOf(math::AbsFOp::create(e.b, e.loc, x));
  Value scale = e.mulF(largest, e.constantF(e.f32(), 1.0 / 127));
  Value zero = e.constantF(e.f32(), 0);
  Value isZero = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OEQ, largest, zero);
  Value inverse = e.select(isZero, zero, e.divF(e.constantF(e.f32(), 127), largest));
  Value rounded = math::RoundEvenOp::create(e.b, e.loc, e.mulF(x, e.splat(inverse, n)));
  Value words = arith::FPToSIOp::create(e.b, e.loc, e.vec(n, e.i32()), rounded);
  e.store(arith::TruncIOp::create(e.b, e.loc, e.vec(n, e.i8()), words), integers);
  // The integers are small: their f32 sum is exact. It is NaN where an element is, which the maximum may have
  // passed over; the scale has to be NaN then, as an integer cannot.
  Value sum = e.sum(rounded);
  e.store(e.fma(sum, zero, scale), scales);
  e.store(e.mulF(sum, scale), sums);
}

void storeColumns(Emitter &e, Value vector, kernel::RowsType type, Value pointer, Value column) {
  if (!type.isQuantized())
    return e.storeNarrow(vector, type.getElement(), e.at(pointer, column, type.getElement()));
  int64_t n = cast<VectorType>(vector.getType()).getDimSize(0);
  assert(n % kernel::q8Block == 0 && "q8 is stored in whole blocks");
  Value block = e.div(column, kernel::q8Block);
  Value integers = e.atByte(pointer, column);
  Value scales = e.at(e.atByte(pointer, type.getColumns()), block, e.f32());
  for (int64_t i = 0; i < n / kernel::q8Block; ++i) {
    Value scale = e.at(scales, i, e.f32());
    storeBlock(e, e.slice(vector, i * kernel::q8Block, kernel::q8Block),
               e.atByte(integers, i * kernel::q8Block), scale,
               e.at(scale, type.getColumns() / kernel::q8Block, e.f32()));
  }
}

} // namespace sinter::cpu
