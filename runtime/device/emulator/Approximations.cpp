// SPDX-License-Identifier: Apache-2.0
// Special functions (PTX ISA 9.7.3.13 to 9.7.3.22, 9.7.4): rcp, sqrt, rsqrt, sin, cos, lg2, ex2, tanh. The
// hardware's are approximations with a stated error; these are at least as exact, so results agree within
// that error, not in bits.
#include "runtime/device/emulator/Arithmetic.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <bit>
#include <cfenv>
#include <cfloat>
#include <cmath>

namespace sinter::emulator {

namespace {

inline float flush(float x) { return std::fabs(x) < FLT_MIN ? std::copysign(0.0f, x) : x; }

/// 2^x without branches, so that lanes vectorise: 2^n * 2^f with |f| <= 1/2, the second by a polynomial (the
/// Taylor series to degree 7 has an error below 2^-27 there), the first in two factors so that subnormal
/// results are right.
inline float exp2Lane(float x) {
  const float clamped = x < -160.0f ? -160.0f : x > 160.0f ? 160.0f : x; // NaN stays NaN
  const float n = __builtin_rintf(clamped);
  const float f = clamped - n;
  float p = 1.5252733804e-5f;
  p = __builtin_fmaf(p, f, 1.5403530393e-4f);
  p = __builtin_fmaf(p, f, 1.3333558146e-3f);
  p = __builtin_fmaf(p, f, 9.6181291076e-3f);
  p = __builtin_fmaf(p, f, 5.5504108665e-2f);
  p = __builtin_fmaf(p, f, 2.4022650696e-1f);
  p = __builtin_fmaf(p, f, 6.9314718056e-1f);
  p = __builtin_fmaf(p, f, 1.0f);
  const int whole = static_cast<int>(x == x ? n : 0.0f);
  const int half = whole >> 1;
  const float first = std::bit_cast<float>((half + 127) << 23),
              second = std::bit_cast<float>((whole - half + 127) << 23);
  return x == x ? p * first * second : x;
}

struct Reciprocal {
  template <typename T> T operator()(T a) const { return T(1) / a; }
};
struct SquareRoot {
  template <typename T> T operator()(T a) const { return std::sqrt(a); }
};
struct ReciprocalRoot {
  template <typename T> T operator()(T a) const { return T(1) / std::sqrt(a); }
};
struct Sine {
  float operator()(float a) const { return std::sin(a); }
};
struct Cosine {
  float operator()(float a) const { return std::cos(a); }
};
struct Logarithm {
  float operator()(float a) const { return std::log2(a); }
};
struct Power {
  float operator()(float a) const { return exp2Lane(a); }
};
struct Tangent {
  float operator()(float a) const { return std::tanh(a); }
};

template <typename Op> struct Flushed {
  float operator()(float a) const { return flush(Op{}(flush(a))); }
};

template <typename H, typename Op> struct Narrow {
  uint16_t operator()(uint16_t a) const { return H(Op{}(static_cast<float>(std::bit_cast<H>(a)))).bits; }
  uint32_t operator()(uint32_t a) const {
    return (*this)(static_cast<uint16_t>(a)) | uint32_t((*this)(static_cast<uint16_t>(a >> 16))) << 16;
  }
};

template <typename T, typename Op> void directedLanes(Warp &warp, const Instruction &in) {
  constexpr int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
  std::fesetround(modes[in.extra & 3]);
  eachActive(warp, [&](int lane) {
    volatile T x = warp.reg<T>(in.a)[lane];
    if constexpr (sizeof(T) == 4)
      if (in.extra & 256)
        x = flush(x);
    volatile T result = Op{}(static_cast<T>(x));
    if constexpr (sizeof(T) == 4)
      if (in.extra & 256)
        result = flush(result);
    warp.reg<T>(in.d)[lane] = result;
  });
  std::fesetround(FE_TONEAREST);
}

template <typename Op> void special(Translator &t) {
  const Type type = t.needType();
  const Rounding rounding = t.rounding(Rounding::nearest);
  const bool ftz = t.take("ftz");
  t.take("approx");
  Handlers handlers;
  constexpr bool hasDouble = requires { Op{}.template operator()<double>(1.0); };
  if (rounding != Rounding::nearest) {
    if constexpr (hasDouble) {
      const Handler handler = type == Type::f32 ? &directedLanes<float, Op> : &directedLanes<double, Op>;
      emitElementwise(t, {handler, handler}, InstructionClass::special, type, 1).extra =
          static_cast<uint32_t>(rounding) | (ftz ? 256 : 0);
      return;
    }
    return t.fail("expected no rounding other than .rn");
  }
  switch (type) {
  case Type::f32:
    handlers = ftz ? unary<float>(Flushed<Op>{}) : unary<float>(Op{});
    break;
  case Type::f64:
    if constexpr (hasDouble)
      handlers = unary<double>(Op{});
    break;
  case Type::f16:
    handlers = unary<uint16_t>(Narrow<Half, Op>{});
    break;
  case Type::f16x2:
    handlers = unary<uint32_t>(Narrow<Half, Op>{});
    break;
  case Type::bf16:
    handlers = unary<uint16_t>(Narrow<Bfloat, Op>{});
    break;
  case Type::bf16x2:
    handlers = unary<uint32_t>(Narrow<Bfloat, Op>{});
    break;
  default:
    break;
  }
  if (!handlers.full)
    return t.fail("unknown type .{} for this instruction", nameOf(type));
  emitElementwise(t, handlers, InstructionClass::special, type, 1);
}

} // namespace

std::span<const Opcode> approximationOpcodes() {
  static constexpr Opcode table[] = {
      {"rcp", special<Reciprocal>}, {"sqrt", special<SquareRoot>}, {"rsqrt", special<ReciprocalRoot>},
      {"sin", special<Sine>},       {"cos", special<Cosine>},      {"lg2", special<Logarithm>},
      {"ex2", special<Power>},      {"tanh", special<Tangent>},
  };
  return table;
}

} // namespace sinter::emulator
