// SPDX-License-Identifier: Apache-2.0
// Conversions that instruction sets differ in, and what GPUs have an instruction for.
#include "passes/lowering/cpu/Emitter.h"

#include "passes/lowering/Fp8.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace sinter::cpu {

Value Emitter::integer(Value number) { return arith::ExtSIOp::create(b, loc, i64(), number); }
Value Emitter::fromIndex(Value value) { return b.createOrFold<arith::IndexCastOp>(loc, i64(), value); }

Value Emitter::exp2Negative(Value x) {
  Type type = x.getType();
  Type integer = i32();
  if (auto vector = dyn_cast<VectorType>(type))
    integer = vec(vector.getDimSize(0), i32());
  // Below -126 the result is a denormal at most: it becomes 2^-126, about 1e-38.
  x = maxF(x, constantF(type, -126.0));
  Value whole = math::RoundEvenOp::create(b, loc, x);
  Value r = subF(x, whole);
  // Taylor series of 2^r on [-1/2, 1/2], degree 6.
  Value p = constantF(type, 1.5403530393381610e-4);
  for (double coefficient : {1.3333558146428443e-3, 9.6181291076284772e-3, 5.5504108664821580e-2,
                             2.4022650695910071e-1, 6.9314718055994531e-1, 1.0})
    p = fma(p, r, constantF(type, coefficient));
  Value exponent = arith::ShLIOp::create(b, loc, arith::FPToSIOp::create(b, loc, integer, whole).getResult(),
                                         constantI(integer, 23));
  Value bits =
      arith::AddIOp::create(b, loc, arith::BitcastOp::create(b, loc, integer, p).getResult(), exponent);
  return arith::BitcastOp::create(b, loc, type, bits);
}

Value Emitter::narrow(Value value, Type element) {
  if (element.isF32())
    return value;
  if (isFp8(element))
    return narrowFp8(*this, element, value);
  auto vector = dyn_cast<VectorType>(value.getType());
  auto shaped = [&](Type type) -> Type { return vector ? vec(vector.getDimSize(0), type) : type; };
  if (element.isF16() || (target.bf16() && vector))
    return arith::TruncFOp::create(b, loc, shaped(element), value);
  // bf16 without AVX512-BF16 would be a call of the C library: round to nearest even by hand, NaN stays NaN.
  // The instruction takes subnormal numbers as zero, this keeps them. A scalar goes this way on every
  // machine.
  Type word = shaped(i32());
  auto number = [&](int64_t bits) { return constantI(word, bits); };
  Value bits = arith::BitcastOp::create(b, loc, word, value);
  Value odd =
      arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, bits, number(16)).getResult(), number(1));
  Value rounded =
      arith::AddIOp::create(b, loc, arith::AddIOp::create(b, loc, bits, number(0x7fff)).getResult(), odd);
  Value quiet = arith::OrIOp::create(b, loc, bits, number(0x400000));
  Value isNan = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, value, value);
  Value chosen = arith::SelectOp::create(b, loc, isNan, quiet, rounded);
  Value high = arith::ShRUIOp::create(b, loc, chosen, number(16));
  Value half = arith::TruncIOp::create(b, loc, shaped(i16()), high);
  return arith::BitcastOp::create(b, loc, shaped(element), half);
}
void Emitter::storeNarrow(Value value, Type element, Value pointer) {
  store(narrow(value, element), pointer);
}
void Emitter::prefetch(Value pointer) {
  LLVM::Prefetch::create(b, loc, pointer, /*rw=*/0, /*hint=*/3, /*cache=*/1);
}

} // namespace sinter::cpu
