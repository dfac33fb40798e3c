// SPDX-License-Identifier: Apache-2.0
// By integer arithmetic and the conversion from f16, which holds both formats exactly: no arithmetic meets a
// subnormal f32, which processors take long for.
#include "passes/lowering/Fp8.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace sinter {
namespace {

/// `element` in the shape of `like`.
Type shaped(Type element, Type like) {
  auto vector = dyn_cast<VectorType>(like);
  return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
}

/// Integer operations with a constant on every element.
struct Bits {
  Emitter &e;
  Value constant(Value a, int64_t bits) { return e.constantI(a.getType(), bits); }
  Value mask(Value a, int64_t bits) { return arith::AndIOp::create(e.b, e.loc, a, constant(a, bits)); }
  Value left(Value a, int64_t by) { return arith::ShLIOp::create(e.b, e.loc, a, constant(a, by)); }
  Value right(Value a, int64_t by) { return arith::ShRUIOp::create(e.b, e.loc, a, constant(a, by)); }
  Value both(Value a, Value b) { return arith::OrIOp::create(e.b, e.loc, a, b); }
  Value plus(Value a, Value b) { return arith::AddIOp::create(e.b, e.loc, a, b); }
  Value plus(Value a, int64_t b) { return plus(a, constant(a, b)); }
  Value compare(arith::CmpIPredicate predicate, Value a, int64_t b) {
    return arith::CmpIOp::create(e.b, e.loc, predicate, a, constant(a, b));
  }
  Value as(Type element, Value a) {
    return arith::BitcastOp::create(e.b, e.loc, shaped(element, a.getType()), a);
  }
  Value choose(Value condition, Value a, Value b) {
    return arith::SelectOp::create(e.b, e.loc, condition, a, b);
  }
};

} // namespace

bool isFp8(Type element) { return isa<Float8E4M3FNType, Float8E5M2Type>(element); }

Value widenFp8(Emitter &e, Type element, Value bytes) {
  Bits bits{e};
  Type wide = shaped(e.f32(), bytes.getType());
  Value half = arith::ExtUIOp::create(e.b, e.loc, shaped(e.i16(), bytes.getType()), bytes);
  if (isa<Float8E5M2Type>(element))
    return arith::ExtFOp::create(e.b, e.loc, wide, bits.as(e.f16(), bits.left(half, 8)));
  // As f16 with an exponent that is 8 too small.
  Value magnitude = bits.mask(half, 0x7f);
  Value small = bits.both(bits.left(magnitude, 7), bits.left(bits.mask(half, 0x80), 8));
  Value number =
      e.mulF(arith::ExtFOp::create(e.b, e.loc, wide, bits.as(e.f16(), small)), e.constantF(wide, 256));
  Value isNan = bits.compare(arith::CmpIPredicate::eq, magnitude, 0x7f);
  return bits.choose(isNan, e.constantF(wide, std::numeric_limits<double>::quiet_NaN()), number);
}

Value narrowFp8(Emitter &e, Type element, Value numbers) {
  Bits bits{e};
  auto format = cast<FloatType>(element);
  const bool isFine = isa<Float8E4M3FNType>(element);
  const int64_t mantissa = format.getFPMantissaWidth() - 1, bias = isFine ? 7 : 15;
  const int64_t largest = isFine ? 0x43e00000 : 0x47600000; // 448 and 57344, as f32
  const int64_t infinity = 0x7f800000, shift = 23 - mantissa, leastNormal = (128 - bias) << 23;
  // One whose last bit counts as much as that of the format's subnormal numbers.
  const int64_t unit = (127 + 24 - bias - mantissa) << 23;
  Value word = bits.as(e.i32(), numbers), given = bits.mask(word, 0x7fffffff);
  Value magnitude = arith::MinSIOp::create(e.b, e.loc, given, bits.constant(given, largest));
  Value odd = bits.mask(bits.right(magnitude, shift), 1);
  Value rounded = bits.right(bits.plus(bits.plus(magnitude, (int64_t(1) << (shift - 1)) - 1), odd), shift);
  Value normal = bits.plus(rounded, -((127 - bias) << mantissa));
  Value sum = e.addF(bits.as(e.f32(), magnitude), bits.as(e.f32(), bits.constant(magnitude, unit)));
  Value subnormal = bits.plus(bits.as(e.i32(), sum), -unit);
  Value isSmall = bits.compare(arith::CmpIPredicate::slt, magnitude, leastNormal);
  Value code = bits.both(bits.choose(isSmall, subnormal, normal), bits.mask(bits.right(word, 24), 0x80));
  Value isNan = bits.compare(arith::CmpIPredicate::sgt, given, infinity);
  code = bits.choose(isNan, bits.constant(code, 0x7f), code);
  return arith::TruncIOp::create(e.b, e.loc, shaped(e.i8(), code.getType()), code);
}

} // namespace sinter
