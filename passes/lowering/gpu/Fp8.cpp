// SPDX-License-Identifier: Apache-2.0
// sm_90 converts two numbers at a time (cvt.f16x2.e4m3x2 and back; as assembly, since LLVM has them for
// PTX 8.1 only); sm_80 by byte permutations and products of f16.
#include "passes/lowering/gpu/Fp8.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;

namespace sinter::gpu {

static bool isE5m2(Type element) { return isa<Float8E5M2Type>(element); }

static Value convert(Emitter &e, const std::string &text, const std::string &constraints, Type result,
                     ValueRange operands) {
  return e.assemble(text, constraints, result, operands, /*isPure=*/true).getResult(0);
}

Value fp8ToHalves(Emitter &e, Type element, Value word, int64_t pair) {
  Type halves = e.vec(2, e.f16());
  if (e.architecture == Architecture::Sm90) {
    std::string type = isE5m2(element) ? "e5m2x2" : "e4m3x2";
    Value two = arith::TruncIOp::create(e.b, e.loc, e.i16(), e.shiftRight(word, 16 * pair));
    return e.bitcast(halves, convert(e, "cvt.rn.f16x2." + type + " $0, $1;", "=r,h", e.i32(), two));
  }
  // Each byte on top of 8 bits of zeros.
  Value both =
      e.intrinsic("llvm.nvvm.prmt", e.i32(), {word, e.constant(0), e.constant(pair ? 0x3424 : 0x1404)});
  if (isE5m2(element))
    return e.bitcast(halves, both);
  // An exponent of f16 that is 8 too small. What should be NaN is 480 then, which overflows times 140, as 448
  // does not: infinity times 0 is NaN.
  Value small =
      e.bitOr(e.bitAnd(e.shiftRight(both, 1), 0x3f803f80), e.bitAnd(both, static_cast<int32_t>(0x80008000)));
  Value number = e.mulF(e.bitcast(halves, small), e.constantF(halves, 256));
  Value large = e.mulF(number, e.constantF(halves, 140));
  return e.fma(large, e.constantF(halves, 0), number);
}

Value fp8ToFloats(Emitter &e, Type element, Value bytes) {
  int64_t n = cast<VectorType>(bytes.getType()).getDimSize(0);
  auto wide = [&](Value halves) -> Value { return arith::ExtFOp::create(e.b, e.loc, e.vec(2), halves); };
  SmallVector<Value> numbers;
  if (n % 4 == 0) {
    Value words = e.bitcast(e.vec(n / 4, e.i32()), bytes);
    for (int64_t i = 0; i < n; i += 2) {
      Value two = wide(fp8ToHalves(e, element, e.extract(words, i / 4), i % 4 / 2));
      numbers.append({e.extract(two, 0), e.extract(two, 1)});
    }
    return e.pack(numbers);
  }
  for (int64_t i = 0; i < n; ++i) {
    Value word = arith::ExtUIOp::create(e.b, e.loc, e.i32(), e.extract(bytes, i));
    numbers.push_back(e.extract(wide(fp8ToHalves(e, element, word, 0)), 0));
  }
  return e.pack(numbers);
}

Value floatsToFp8(Emitter &e, Type element, Value numbers) {
  if (e.architecture != Architecture::Sm90)
    return narrowFp8(e, element, numbers);
  std::string text =
      std::string("cvt.rn.satfinite.") + (isE5m2(element) ? "e5m2x2" : "e4m3x2") + ".f32 $0, $1, $2;";
  auto pairOf = [&](Value low, Value high) { return convert(e, text, "=h,f,f", e.i16(), {high, low}); };
  auto vector = dyn_cast<VectorType>(numbers.getType());
  if (!vector)
    return arith::TruncIOp::create(e.b, e.loc, e.i8(), pairOf(numbers, e.constantF(e.f32(), 0)));
  int64_t n = vector.getDimSize(0);
  SmallVector<Value> all;
  if (n % 2) {
    for (int64_t i = 0; i < n; ++i)
      all.push_back(floatsToFp8(e, element, e.extract(numbers, i)));
    return e.pack(all);
  }
  for (int64_t i = 0; i < n; i += 2)
    all.push_back(pairOf(e.extract(numbers, i), e.extract(numbers, i + 1)));
  return e.bitcast(e.vec(n, e.i8()), e.pack(all));
}

} // namespace sinter::gpu
