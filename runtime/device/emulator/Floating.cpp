// SPDX-License-Identifier: Apache-2.0
// Floating-point arithmetic (PTX ISA 9.7.3 to 9.7.5): add, sub, mul, fma, mad, div, neg, abs, min, max,
// copysign, testp of f32 and f64, f16 and bf16, one or two in a register. Approximations (rcp, ex2, ...) are
// in Approximations.cpp.
#include "runtime/device/emulator/Arithmetic.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <cfenv>
#include <cfloat>
#include <cmath>

namespace sinter::emulator {

namespace {

/// A subnormal becomes zero of the same sign.
inline float flush(float x) { return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x; }
inline uint16_t flushHalf(uint16_t x) { return x & 0x7c00 ? x : x & 0x8000; }
/// .sat: into [0, 1]; NaN becomes 0.
template <typename T> inline T clampToOne(T x) { return x > T(0) ? (x < T(1) ? x : T(1)) : T(0); }

struct Add {
  template <typename T> T operator()(T a, T b) const { return a + b; }
};
struct Sub {
  template <typename T> T operator()(T a, T b) const { return a - b; }
};
struct Mul {
  template <typename T> T operator()(T a, T b) const { return a * b; }
};
struct Div {
  template <typename T> T operator()(T a, T b) const { return a / b; }
};
struct Fma {
  float operator()(float a, float b, float c) const { return __builtin_fmaf(a, b, c); }
  double operator()(double a, double b, double c) const { return __builtin_fma(a, b, c); }
};
/// The number, if the other is NaN; -0 is less than +0.
struct Min {
  template <typename T> T operator()(T a, T b) const {
    return std::isnan(a) ? b : std::isnan(b) ? a : a < b || (a == b && std::signbit(a)) ? a : b;
  }
};
struct Max {
  template <typename T> T operator()(T a, T b) const {
    return std::isnan(a) ? b : std::isnan(b) ? a : a > b || (a == b && !std::signbit(a)) ? a : b;
  }
};
template <typename Op> struct OrNan { // .NaN: NaN if either is
  template <typename T> T operator()(T a, T b) const {
    return std::isnan(a) || std::isnan(b) ? T(NAN) : Op{}(a, b);
  }
};
template <typename Op> struct XorSign { // .xorsign.abs: of the magnitudes, with the product's sign
  template <typename T> T operator()(T a, T b) const {
    const T result = Op{}(T(std::fabs(a)), T(std::fabs(b)));
    return std::copysign(result, std::signbit(a) != std::signbit(b) ? T(-1) : T(1));
  }
};

template <typename Op, bool ftz, bool sat> struct Single {
  template <typename... A> float operator()(A... a) const {
    float result = ftz ? flush(Op{}(flush(a)...)) : Op{}(a...);
    return sat ? clampToOne(result) : result;
  }
};

template <typename Op, int arity> Handlers single(bool ftz, bool sat) {
  const auto make = [](auto op) {
    if constexpr (arity == 2)
      return binary<float>(op);
    else
      return ternary<float, float, float, float>(op);
  };
  return ftz ? (sat ? make(Single<Op, true, true>{}) : make(Single<Op, true, false>{}))
             : (sat ? make(Single<Op, false, true>{}) : make(Single<Op, false, false>{}));
}
template <typename Op, int arity> Handlers doubled() {
  if constexpr (arity == 2)
    return binary<double>(Op{});
  else
    return ternary<double, double, double, double>(Op{});
}

// --- f16 and bf16: computed in f32, rounded once; fma in f64, where the product is exact and the sum rounded
// to odd, so that the second rounding is right ---

/// a * b + c to odd: if it is not exact, its last bit is 1. The product of two numbers of 11 bits is exact.
inline double fmaToOdd(double a, double b, double c) {
  const double product = a * b, sum = product + c;
  const double back = sum - product, lost = (product - (sum - back)) + (c - back);
  const auto bits = std::bit_cast<uint64_t>(sum);
  if (lost == 0 || !std::isfinite(lost) || bits & 1) // infinities have nothing to lose
    return sum;
  return std::bit_cast<double>((lost > 0) == (sum > 0) ? bits + 1 : bits - 1);
}

template <typename H, typename Op, int arity, bool sat, bool relu, bool ftz = false> struct Narrow {
  template <typename... A> static uint16_t one(A... bits) {
    if constexpr (ftz)
      return flushHalf(Narrow<H, Op, arity, sat, relu>::one(flushHalf(bits)...));
    if constexpr (arity == 3) {
      const auto exact = [](uint16_t x) {
        return static_cast<double>(static_cast<float>(std::bit_cast<H>(x)));
      };
      return finish(narrowed(fmaToOdd(exact(bits)...)));
    } else {
      return finish(H(Op{}(static_cast<float>(std::bit_cast<H>(bits))...)).bits);
    }
  }
  static uint16_t narrowed(double value) {
    if constexpr (std::is_same_v<H, Half>)
      return floatToHalf(value);
    else
      return floatToBfloat(value);
  }
  static uint16_t finish(uint16_t bits) {
    if constexpr (sat)
      return H(clampToOne(static_cast<float>(std::bit_cast<H>(bits)))).bits;
    if constexpr (relu) { // negative numbers become 0, NaN stays
      const float value = static_cast<float>(std::bit_cast<H>(bits));
      return value < 0 || (value == 0 && std::signbit(value)) ? 0 : bits;
    }
    return bits;
  }
  template <typename... A> auto operator()(A... a) const {
    if constexpr ((sizeof(A) + ...) == sizeof...(A) * 2) {
      return one(static_cast<uint16_t>(a)...);
    } else {
      const uint32_t low = one(static_cast<uint16_t>(a)...), high = one(static_cast<uint16_t>(a >> 16)...);
      return low | high << 16;
    }
  }
};

template <typename H, typename Op, int arity>
Handlers narrow(bool packed, bool sat, bool relu, bool ftz = false) {
  const auto make = [packed](auto op) {
    if constexpr (arity == 2)
      return packed ? binary<uint32_t>(op) : binary<uint16_t>(op);
    else
      return packed ? ternary<uint32_t, uint32_t, uint32_t, uint32_t>(op)
                    : ternary<uint16_t, uint16_t, uint16_t, uint16_t>(op);
  };
  if (ftz)
    return sat    ? make(Narrow<H, Op, arity, true, false, true>{})
           : relu ? make(Narrow<H, Op, arity, false, true, true>{})
                  : make(Narrow<H, Op, arity, false, false, true>{});
  return sat    ? make(Narrow<H, Op, arity, true, false>{})
         : relu ? make(Narrow<H, Op, arity, false, true>{})
                : make(Narrow<H, Op, arity, false, false>{});
}

template <typename Op, int arity> Handlers ofType(Translator &t, Type type, bool ftz, bool sat, bool relu) {
  switch (type) {
  case Type::f32:
    return single<Op, arity>(ftz, sat);
  case Type::f64:
    return doubled<Op, arity>();
  case Type::f16:
  case Type::f16x2:
    return narrow<Half, Op, arity>(type == Type::f16x2, sat, relu, ftz);
  case Type::bf16:
  case Type::bf16x2:
    return narrow<Bfloat, Op, arity>(type == Type::bf16x2, sat, relu);
  default:
    t.fail("expected a floating-point type, found .{}", nameOf(type));
    return {};
  }
}

// --- rounding other than to nearest: one lane after another, in the processor's own rounding mode ---

template <typename T> T directed(Arithmetic operation, T a, T b, T c) {
  // The compiler may not move these over fesetround, nor fold them.
  volatile T x = a, y = b, z = c, result = 0;
  switch (operation) {
  case Arithmetic::add:
    result = x + y;
    break;
  case Arithmetic::sub:
    result = x - y;
    break;
  case Arithmetic::mul:
    result = x * y;
    break;
  case Arithmetic::div:
    result = x / y;
    break;
  default:
    result = std::fma(x, y, z);
    break;
  }
  return result;
}

template <typename T> void directedLanes(Warp &warp, const Instruction &in) {
  constexpr int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
  const bool ftz = in.extra & 256, sat = in.extra & 512;
  std::fesetround(modes[in.extra >> 4 & 3]);
  eachActive(warp, [&](int lane) {
    T a = warp.reg<T>(in.a)[lane], b = warp.reg<T>(in.b)[lane], c = warp.reg<T>(in.c)[lane];
    if constexpr (sizeof(T) == 4)
      if (ftz)
        a = flush(a), b = flush(b), c = flush(c);
    T result = directed(static_cast<Arithmetic>(in.extra & 15), a, b, c);
    if constexpr (sizeof(T) == 4)
      if (ftz)
        result = flush(result);
    warp.reg<T>(in.d)[lane] = sat ? clampToOne(result) : result;
  });
  std::fesetround(FE_TONEAREST);
}

InstructionClass classOf(Type type) {
  return type == Type::f32 || type == Type::f32x2 ? InstructionClass::float32
         : type == Type::f64                      ? InstructionClass::float64
                                                  : InstructionClass::half;
}

/// The sign bit, in each half of a packed type; .ftz makes subnormals zero (of f32 and f16).
template <bool negate> void signOperation(Translator &t, Type type) {
  const bool ftz = t.take("ftz");
  Handlers handlers;
  switch (type) {
  case Type::f64:
    handlers = unary<uint64_t>([](uint64_t a) { return negate ? a ^ (1ull << 63) : a & ~(1ull << 63); });
    break;
  case Type::f32:
    handlers = ftz ? unary<uint32_t>([](uint32_t a) {
      const uint32_t flushed = a & 0x7f800000u ? a : a & 0x80000000u;
      return negate ? flushed ^ 0x80000000u : flushed & 0x7fffffffu;
    })
                   : unary<uint32_t>([](uint32_t a) { return negate ? a ^ 0x80000000u : a & 0x7fffffffu; });
    break;
  case Type::f16x2:
  case Type::bf16x2:
    handlers = ftz && type == Type::f16x2
                   ? unary<uint32_t>([](uint32_t a) {
                       const uint32_t flushed = flushHalf(static_cast<uint16_t>(a)) |
                                                uint32_t(flushHalf(static_cast<uint16_t>(a >> 16))) << 16;
                       return negate ? flushed ^ 0x80008000u : flushed & ~0x80008000u;
                     })
                   : unary<uint32_t>([](uint32_t a) { return negate ? a ^ 0x80008000u : a & ~0x80008000u; });
    break;
  case Type::f16:
  case Type::bf16:
    handlers = ftz && type == Type::f16
                   ? unary<uint16_t>([](uint16_t a) {
                       const uint16_t flushed = flushHalf(a);
                       return uint16_t(negate ? flushed ^ 0x8000u : flushed & 0x7fffu);
                     })
                   : unary<uint16_t>([](uint16_t a) { return uint16_t(negate ? a ^ 0x8000u : a & 0x7fffu); });
    break;
  default:
    return t.fail("expected a floating-point type, found .{}", nameOf(type));
  }
  emitElementwise(t, handlers, classOf(type), type, 1);
}

template <typename Op> void minOrMax(Translator &t, Type type) {
  const bool ftz = t.take("ftz"), nan = t.take("NaN"), sign = t.take("xorsign");
  if (sign && !t.take("abs"))
    return t.fail("expected .abs after .xorsign");
  Handlers handlers;
  if (nan && sign)
    handlers = ofType<XorSign<OrNan<Op>>, 2>(t, type, ftz, false, false);
  else if (nan)
    handlers = ofType<OrNan<Op>, 2>(t, type, ftz, false, false);
  else if (sign)
    handlers = ofType<XorSign<Op>, 2>(t, type, ftz, false, false);
  else
    handlers = ofType<Op, 2>(t, type, ftz, false, false);
  if (t.operandCount() == 4) { // three inputs: min(min(a, b), c)
    const uint32_t a = t.source(1, type), b = t.source(2, type), c = t.source(3, type), d = t.target(0, type);
    const uint32_t first = t.temporary(bytesOf(type));
    Instruction &one = t.emit(handlers, classOf(type));
    one.d = first, one.a = a, one.b = b;
    Instruction &two = t.emit(handlers, classOf(type));
    two.d = d, two.a = first, two.b = c;
    return;
  }
  emitElementwise(t, handlers, classOf(type), type, 2);
}

/// copysign d, a, b: the magnitude of b with the sign of a.
void copysignOp(Translator &t) {
  const Type type = t.needType();
  emitElementwise(t,
                  type == Type::f64 ? binary<double>([](double a, double b) { return std::copysign(b, a); })
                                    : binary<float>([](float a, float b) { return std::copysign(b, a); }),
                  classOf(type), type, 2);
}

void testp(Translator &t) {
  const int test = t.takeOneOf({"finite", "infinite", "number", "notanumber", "normal", "subnormal"});
  const Type type = t.needType();
  const uint32_t a = t.source(1, type), d = t.predicateTarget(t.operand(0));
  const auto handler = []<typename T>() -> Handler {
    return +[](Warp &warp, const Instruction &in) {
      const T *a = warp.reg<T>(in.a);
      const int test = static_cast<int>(in.extra);
      writePredicate(warp, in.d, maskOf([=](int lane) {
                       const T x = a[lane];
                       switch (test) {
                       case 0:
                         return static_cast<bool>(std::isfinite(x));
                       case 1:
                         return static_cast<bool>(std::isinf(x));
                       case 2:
                         return !std::isnan(x);
                       case 3:
                         return static_cast<bool>(std::isnan(x));
                       case 4:
                         return static_cast<bool>(std::isnormal(x));
                       default:
                         return std::fpclassify(x) == FP_SUBNORMAL;
                       }
                     }));
    };
  };
  Instruction &in = t.emit(type == Type::f64 ? handler.operator()<double>() : handler.operator()<float>(),
                           InstructionClass::predicate);
  in.a = a, in.d = d;
  in.extra = static_cast<uint32_t>(test);
}

void fma(Translator &t) { floatArithmetic(t, Arithmetic::fma, t.needType()); }

} // namespace

void floatArithmetic(Translator &t, Arithmetic operation, Type type) {
  switch (operation) {
  case Arithmetic::neg:
    return signOperation<true>(t, type);
  case Arithmetic::abs:
    return signOperation<false>(t, type);
  case Arithmetic::min:
    return minOrMax<Min>(t, type);
  case Arithmetic::max:
    return minOrMax<Max>(t, type);
  default:
    break;
  }
  const Rounding rounding = t.rounding(Rounding::nearest);
  const bool ftz = t.take("ftz"), sat = t.take("sat"), relu = t.take("relu");
  t.take("noftz");
  if (operation == Arithmetic::div)
    t.takeOneOf({"full", "approx"}); // allowed to be more exact than they must
  const int sources = operation == Arithmetic::mad || operation == Arithmetic::fma ? 3 : 2;
  if (rounding != Rounding::nearest) {
    if (type != Type::f32 && type != Type::f64)
      return t.fail("expected rounding .rn for type .{}", nameOf(type));
    const Handler handler = type == Type::f32 ? &directedLanes<float> : &directedLanes<double>;
    emitElementwise(t, {handler, handler}, classOf(type), type, sources).extra =
        static_cast<uint32_t>(operation) | static_cast<uint32_t>(rounding) << 4 | (ftz ? 256 : 0) |
        (sat ? 512 : 0);
    return;
  }
  Handlers handlers;
  switch (operation) {
  case Arithmetic::add:
    handlers = ofType<Add, 2>(t, type, ftz, sat, relu);
    break;
  case Arithmetic::sub:
    handlers = ofType<Sub, 2>(t, type, ftz, sat, relu);
    break;
  case Arithmetic::mul:
    handlers = ofType<Mul, 2>(t, type, ftz, sat, relu);
    break;
  case Arithmetic::div:
    handlers = ofType<Div, 2>(t, type, ftz, sat, relu);
    break;
  default:
    handlers = ofType<Fma, 3>(t, type, ftz, sat, relu);
    break;
  }
  emitElementwise(t, handlers, classOf(type), type, sources);
}

Handler multiplyAddHandler() { return single<Fma, 3>(false, false).full; }

std::span<const Opcode> floatingOpcodes() {
  static constexpr Opcode table[] = {{"fma", fma}, {"copysign", copysignOp}, {"testp", testp}};
  return table;
}

} // namespace sinter::emulator
