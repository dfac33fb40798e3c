// SPDX-License-Identifier: Apache-2.0
// Integer arithmetic (PTX ISA 9.7.1 and 9.7.2): add, sub, mul, mad, div, rem, abs, neg, min, max, sad,
// carries, dp4a, dp2a. add, sub, mul, ... of floating-point types go on to Floating.cpp.
#include "runtime/device/emulator/Arithmetic.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <algorithm>
#include <limits>
#include <type_traits>

namespace sinter::emulator {

Instruction &emitElementwise(Translator &t, Handlers handlers, InstructionClass kind, Type type, int sources,
                             Type targetType) {
  uint32_t slots[3] = {};
  for (int i = 0; i < sources; ++i)
    slots[i] = t.source(static_cast<size_t>(i) + 1, type);
  const uint32_t d = t.target(0, targetType == Type::none ? type : targetType);
  Instruction &in = t.emit(handlers, kind);
  in.d = d;
  in.a = slots[0];
  in.b = slots[1];
  in.c = slots[2];
  return in;
}

namespace {

/// Calls make<T>() for the C++ type of an integer type; other types are an error.
template <typename F> Handlers forInteger(Translator &t, Type type, F make) {
  switch (type) {
  case Type::u16:
  case Type::b16:
    return make.template operator()<uint16_t>();
  case Type::s16:
    return make.template operator()<int16_t>();
  case Type::u32:
  case Type::b32:
    return make.template operator()<uint32_t>();
  case Type::s32:
    return make.template operator()<int32_t>();
  case Type::u64:
  case Type::b64:
    return make.template operator()<uint64_t>();
  case Type::s64:
    return make.template operator()<int64_t>();
  default:
    t.fail("expected an integer type of 16, 32 or 64 bits, found .{}", nameOf(type));
    return {};
  }
}

template <typename T> using Unsigned = std::make_unsigned_t<T>;
template <typename T>
using Wide = std::conditional_t<
    sizeof(T) == 2, std::conditional_t<std::is_signed_v<T>, int32_t, uint32_t>,
    std::conditional_t<sizeof(T) == 4, std::conditional_t<std::is_signed_v<T>, int64_t, uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>>>;

template <typename T> T wrap(auto value) { return static_cast<T>(value); }
template <typename T> T high(T a, T b) {
  return static_cast<T>((Wide<T>(a) * Wide<T>(b)) >> (sizeof(T) * 8));
}
template <typename T> T low(T a, T b) {
  return static_cast<T>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

int32_t saturate(int64_t value) {
  return static_cast<int32_t>(
      std::clamp<int64_t>(value, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
}

/// add, sub of u16x2 and s16x2.
template <typename F> Handlers packed16(F each) {
  (void)each;
  return binary<uint32_t>([](uint32_t a, uint32_t b) {
    const auto lo = static_cast<uint16_t>(F{}(static_cast<uint16_t>(a), static_cast<uint16_t>(b)));
    const auto hi =
        static_cast<uint16_t>(F{}(static_cast<uint16_t>(a >> 16), static_cast<uint16_t>(b >> 16)));
    return lo | static_cast<uint32_t>(hi) << 16;
  });
}

/// add, addc, sub, subc with the carry flag (PTX ISA 9.7.2). Slot c is the flag: it comes in, and goes out
/// with .cc.
template <typename T, bool subtract, bool carryIn, bool carryOut>
void carryLanes(Warp &warp, const Instruction &in) {
  T *d = warp.reg<T>(in.d);
  const T *a = warp.reg<T>(in.a), *b = warp.reg<T>(in.b);
  uint32_t *flag = warp.reg<uint32_t>(in.c);
  eachActive(warp, [&](int lane) {
    using W = unsigned __int128;
    const uint32_t carried = carryIn ? flag[lane] : subtract ? 1 : 0; // subtraction adds the complement and 1
    const W sum = W(a[lane]) + W(subtract ? T(~b[lane]) : b[lane]) + carried;
    d[lane] = static_cast<T>(sum);
    if (carryOut)
      flag[lane] = static_cast<uint32_t>(sum >> (sizeof(T) * 8)) & 1;
  });
}

template <bool subtract> bool carryChain(Translator &t, bool carryIn, Type type) {
  const bool carryOut = t.take("cc");
  if (!carryIn && !carryOut)
    return false;
  const bool wide = bytesOf(type) == 8;
  const auto pick = [&](auto in, auto out) -> Handler {
    return wide ? &carryLanes<uint64_t, subtract, in.value, out.value>
                : &carryLanes<uint32_t, subtract, in.value, out.value>;
  };
  using Yes = std::true_type;
  using No = std::false_type;
  const Handler handler = carryIn ? (carryOut ? pick(Yes(), Yes()) : pick(Yes(), No())) : pick(No(), Yes());
  Instruction &in = emitElementwise(t, {handler, handler}, InstructionClass::integer, type, 2);
  in.c = t.carry();
  return true;
}

template <bool subtract> void addOrSub(Translator &t) {
  const Type type = t.needType();
  if (isFloat(type))
    return floatArithmetic(t, subtract ? Arithmetic::sub : Arithmetic::add, type);
  if (carryChain<subtract>(t, false, type))
    return;
  if (t.take("sat")) {
    if (type != Type::s32)
      return t.fail(".sat expects type .s32, found .{}", nameOf(type));
    emitElementwise(t, binary<int32_t>([](int32_t a, int32_t b) {
                      return saturate(subtract ? int64_t(a) - b : int64_t(a) + b);
                    }),
                    InstructionClass::integer, type, 2);
    return;
  }
  const auto plain = [](auto a, auto b) { return subtract ? a - b : a + b; };
  Handlers handlers;
  if (type == Type::u16x2 || type == Type::s16x2)
    handlers = packed16(plain);
  else
    handlers = forInteger(t, type, []<typename T>() {
      using U = Unsigned<T>;
      return binary<U>([](U a, U b) { return wrap<U>(subtract ? a - b : a + b); });
    });
  emitElementwise(t, handlers, InstructionClass::integer, type, 2);
}

template <bool subtract> void addcOrSubc(Translator &t) { carryChain<subtract>(t, true, t.needType()); }

Type widened(Type type) {
  switch (type) {
  case Type::u16:
    return Type::u32;
  case Type::s16:
    return Type::s32;
  case Type::u32:
    return Type::u64;
  case Type::s32:
    return Type::s64;
  default:
    return Type::none;
  }
}

/// mul and mad. The addend of mad has the type of the result.
template <bool add> void product(Translator &t) {
  const int part = t.takeOneOf({"lo", "hi", "wide"});
  const Type type = t.needType();
  if (isFloat(type))
    return floatArithmetic(t, add ? Arithmetic::mad : Arithmetic::mul, type);
  if (add && t.take("sat")) {
    if (part != 1 || type != Type::s32)
      return t.fail(".sat expects .hi and type .s32");
    emitElementwise(t, ternary<int32_t>([](int32_t a, int32_t b, int32_t c) {
                      return saturate((int64_t(a) * b >> 32) + c);
                    }),
                    InstructionClass::integer, type, 3);
    return;
  }
  if (part < 0)
    return t.fail("expected .lo, .hi or .wide");
  Type result = type;
  if (part == 2 && (result = widened(type)) == Type::none)
    return t.fail(".wide expects a type of 16 or 32 bits, found .{}", nameOf(type));
  const Handlers handlers = forInteger(t, type, [part]<typename T>() -> Handlers {
    if (part == 2) {
      using W = Wide<T>;
      if constexpr (sizeof(T) < 8) {
        using U = Unsigned<W>;
        if (add)
          return ternary<W, T, T, W>([](T a, T b, W c) { return W(U(W(a) * W(b)) + U(c)); });
        return binary<W, T>([](T a, T b) { return W(a) * W(b); });
      }
      return {};
    }
    if (part == 1)
      return add ? ternary<T, T, T, T>(
                       [](T a, T b, T c) { return wrap<T>(Unsigned<T>(high(a, b)) + Unsigned<T>(c)); })
                 : binary<T>([](T a, T b) { return high(a, b); });
    return add ? ternary<T, T, T, T>(
                     [](T a, T b, T c) { return wrap<T>(Unsigned<T>(low(a, b)) + Unsigned<T>(c)); })
               : binary<T>([](T a, T b) { return low(a, b); });
  });
  const uint32_t a = t.source(1, type), b = t.source(2, type), c = add ? t.source(3, result) : 0;
  const uint32_t d = t.target(0, result);
  Instruction &in = t.emit(handlers, InstructionClass::integer);
  in.d = d;
  in.a = a;
  in.b = b;
  in.c = c;
}

template <typename U, bool carryIn> void carryProductLanes(Warp &warp, const Instruction &in) {
  using S = std::make_signed_t<U>;
  uint32_t *flag = warp.reg<uint32_t>(static_cast<uint32_t>(in.offset));
  eachActive(warp, [&](int lane) {
    const U x = warp.reg<U>(in.a)[lane], y = warp.reg<U>(in.b)[lane];
    const U whole =
        in.extra & 1
            ? (in.extra & 2 ? static_cast<U>(high<S>(static_cast<S>(x), static_cast<S>(y))) : high<U>(x, y))
            : U(x * y);
    const auto sum =
        static_cast<unsigned __int128>(whole) + warp.reg<U>(in.c)[lane] + (carryIn ? flag[lane] : 0);
    warp.reg<U>(in.d)[lane] = static_cast<U>(sum);
    if (in.extra & 4)
      flag[lane] = static_cast<uint32_t>(sum >> (sizeof(U) * 8));
  });
}

/// madc: mad with the carry flag added; mad.cc: with the carry out. Both of .lo or .hi.
template <bool carryIn> void carryProduct(Translator &t) {
  const int part = t.takeOneOf({"lo", "hi"});
  const Type type = t.needType();
  const bool carryOut = t.take("cc");
  if (part < 0 || (bytesOf(type) != 4 && bytesOf(type) != 8) || !isInteger(type))
    return t.fail("expected .lo or .hi and an integer type of 32 or 64 bits");
  const uint32_t a = t.source(1, type), b = t.source(2, type), c = t.source(3, type), d = t.target(0, type);
  Instruction &in = t.emit(bytesOf(type) == 8 ? &carryProductLanes<uint64_t, carryIn>
                                              : &carryProductLanes<uint32_t, carryIn>,
                           InstructionClass::integer);
  in.d = d, in.a = a, in.b = b, in.c = c;
  in.offset = t.carry();
  in.extra = (part == 1 ? 1 : 0) | (isSigned(type) ? 2 : 0) | (carryOut ? 4 : 0);
}

void mad(Translator &t) {
  const auto &modifiers = t.modifiers();
  if (std::find(modifiers.begin(), modifiers.end(), "cc") != modifiers.end())
    return carryProduct<false>(t);
  product<true>(t);
}

/// Division by zero gives all ones, and its remainder the dividend, as hardware does (PTX leaves both open).
template <typename T> T quotient(T a, T b) {
  if (b == 0)
    return static_cast<T>(-1);
  if (std::is_signed_v<T> && b == static_cast<T>(-1))
    return static_cast<T>(0 - Unsigned<T>(a));
  return static_cast<T>(a / b);
}
template <typename T> T remainder(T a, T b) {
  if (b == 0)
    return a;
  if (std::is_signed_v<T> && b == static_cast<T>(-1))
    return 0;
  return static_cast<T>(a % b);
}

void div(Translator &t) {
  const Type type = t.needType();
  if (isFloat(type))
    return floatArithmetic(t, Arithmetic::div, type);
  emitElementwise(
      t, forInteger(t, type, []<typename T>() { return binary<T>([](T a, T b) { return quotient(a, b); }); }),
      InstructionClass::integer, type, 2);
}

void rem(Translator &t) {
  const Type type = t.needType();
  emitElementwise(
      t,
      forInteger(t, type, []<typename T>() { return binary<T>([](T a, T b) { return remainder(a, b); }); }),
      InstructionClass::integer, type, 2);
}

template <bool maximum> void minOrMax(Translator &t) {
  const Type type = t.needType();
  if (isFloat(type))
    return floatArithmetic(t, maximum ? Arithmetic::max : Arithmetic::min, type);
  const bool relu = t.take("relu");
  Handlers handlers;
  if (type == Type::u16x2)
    handlers = packed16([](auto a, auto b) { return maximum ? std::max(a, b) : std::min(a, b); });
  else if (type == Type::s16x2)
    handlers = packed16([](auto a, auto b) {
      const int x = static_cast<int16_t>(a), y = static_cast<int16_t>(b);
      return maximum ? std::max(x, y) : std::min(x, y);
    });
  else
    handlers = forInteger(t, type, []<typename T>() {
      return binary<T>([](T a, T b) { return maximum ? (a > b ? a : b) : (a < b ? a : b); });
    });
  if (relu && type == Type::s16x2) {
    handlers = packed16([](auto a, auto b) {
      const int x = static_cast<int16_t>(a), y = static_cast<int16_t>(b);
      return std::max(0, maximum ? std::max(x, y) : std::min(x, y));
    });
  } else if (relu) {
    if (type != Type::s32)
      return t.fail(".relu expects type .s32 or .s16x2, found .{}", nameOf(type));
    handlers = binary<int32_t>(
        [](int32_t a, int32_t b) { return std::max(0, maximum ? std::max(a, b) : std::min(a, b)); });
  }
  emitElementwise(t, handlers, InstructionClass::integer, type, 2);
}

void neg(Translator &t) {
  const Type type = t.needType();
  if (isFloat(type))
    return floatArithmetic(t, Arithmetic::neg, type);
  emitElementwise(t,
                  forInteger(t, type,
                             []<typename T>() {
                               using U = Unsigned<T>;
                               return unary<U>([](U a) { return wrap<U>(0 - a); });
                             }),
                  InstructionClass::integer, type, 1);
}

void absolute(Translator &t) {
  const Type type = t.needType();
  if (isFloat(type))
    return floatArithmetic(t, Arithmetic::abs, type);
  emitElementwise(t,
                  forInteger(t, type,
                             []<typename T>() {
                               using U = Unsigned<T>;
                               return unary<T>([](T a) { return wrap<T>(a < 0 ? U(0 - U(a)) : U(a)); });
                             }),
                  InstructionClass::integer, type, 1);
}

void sad(Translator &t) {
  const Type type = t.needType();
  emitElementwise(t,
                  forInteger(t, type,
                             []<typename T>() {
                               using U = Unsigned<T>;
                               return ternary<U, T, T, U>([](T a, T b, U c) {
                                 return U(c + (a > b ? U(U(a) - U(b)) : U(U(b) - U(a))));
                               });
                             }),
                  InstructionClass::integer, type, 3);
}

/// The low 24 bits as a number of the type.
template <typename T> T low24(T a) {
  return static_cast<T>(static_cast<T>(static_cast<uint32_t>(a) << 8) >> 8);
}

/// mul24 and mad24 (PTX ISA 9.7.1.5): products of 24-bit numbers; .lo is bits 31..0 of the 48, .hi
/// bits 47..16.
template <bool add> void product24(Translator &t) {
  const bool isHigh = t.takeOneOf({"lo", "hi"}) == 1;
  const Type type = t.needType();
  const auto make = [&]<typename T>() -> Handlers {
    using W = Wide<T>;
    if (isHigh)
      return ternary<T, T, T, T>([](T a, T b, T c) {
        return T(uint32_t((W(low24(a)) * W(low24(b))) >> 16) + (add ? uint32_t(c) : 0));
      });
    return ternary<T, T, T, T>(
        [](T a, T b, T c) { return T(uint32_t(W(low24(a)) * W(low24(b))) + (add ? uint32_t(c) : 0)); });
  };
  if (type != Type::u32 && type != Type::s32)
    return t.fail("expected type .u32 or .s32");
  emitElementwise(
      t, type == Type::u32 ? make.template operator()<uint32_t>() : make.template operator()<int32_t>(),
      InstructionClass::integer, type, add ? 3 : 2);
}

/// dp4a: d = c + sum of 4 products of bytes; dp2a: of 2 halves with the low or high 2 bytes (PTX
/// ISA 9.7.1.24, 25).
/// dp4a with bytes that are signed or not: each combination a loop that vectorises.
template <typename A, typename B> Handlers dotOfBytes() {
  return ternary<uint32_t>([](uint32_t x, uint32_t y, uint32_t sum) {
    for (int i = 0; i < 4; ++i)
      sum += static_cast<uint32_t>(static_cast<int32_t>(static_cast<A>(x >> 8 * i)) *
                                   static_cast<int32_t>(static_cast<B>(y >> 8 * i)));
    return sum;
  });
}

template <bool halves> void dotProduct(Translator &t) {
  const bool isHigh = halves && t.takeOneOf({"lo", "hi"}) == 1;
  const Type a = t.needType(), b = t.needType();
  const uint32_t slots[] = {t.source(1, Type::b32), t.source(2, Type::b32), t.source(3, Type::b32)};
  const uint32_t d = t.target(0, Type::b32);
  const Handler handler = +[](Warp &warp, const Instruction &in) {
    const bool signedA = in.extra & 1, signedB = in.extra & 2, upper = in.extra & 4;
    eachActive(warp, [&](int lane) {
      const uint32_t x = warp.reg<uint32_t>(in.a)[lane], y = warp.reg<uint32_t>(in.b)[lane];
      uint32_t sum = warp.reg<uint32_t>(in.c)[lane];
      for (int i = 0; i < (halves ? 2 : 4); ++i) {
        const int32_t p = halves ? (signedA ? int32_t(int16_t(x >> 16 * i)) : int32_t(uint16_t(x >> 16 * i)))
                                 : (signedA ? int32_t(int8_t(x >> 8 * i)) : int32_t(uint8_t(x >> 8 * i)));
        const int shift = 8 * (i + (upper ? 2 : 0));
        sum +=
            static_cast<uint32_t>(p * (signedB ? int32_t(int8_t(y >> shift)) : int32_t(uint8_t(y >> shift))));
      }
      warp.reg<uint32_t>(in.d)[lane] = sum;
    });
  };
  static constexpr auto bytes = [](bool signedA, bool signedB) {
    return signedA ? (signedB ? dotOfBytes<int8_t, int8_t>() : dotOfBytes<int8_t, uint8_t>())
                   : (signedB ? dotOfBytes<uint8_t, int8_t>() : dotOfBytes<uint8_t, uint8_t>());
  };
  Instruction &in = halves ? t.emit(handler, InstructionClass::integer)
                           : t.emit(bytes(isSigned(a), isSigned(b)), InstructionClass::integer);
  in.d = d, in.a = slots[0], in.b = slots[1], in.c = slots[2];
  in.extra = (isSigned(a) ? 1 : 0) | (isSigned(b) ? 2 : 0) | (isHigh ? 4 : 0);
}

} // namespace

std::span<const Opcode> integerOpcodes() {
  static constexpr Opcode table[] = {
      {"add", addOrSub<false>},
      {"sub", addOrSub<true>},
      {"addc", addcOrSubc<false>},
      {"subc", addcOrSubc<true>},
      {"mul", product<false>},
      {"mad", mad},
      {"madc", carryProduct<true>},
      {"mul24", product24<false>},
      {"mad24", product24<true>},
      {"div", div},
      {"rem", rem},
      {"min", minOrMax<false>},
      {"max", minOrMax<true>},
      {"neg", neg},
      {"abs", absolute},
      {"sad", sad},
      {"dp4a", dotProduct<false>},
      {"dp2a", dotProduct<true>},
  };
  return table;
}

} // namespace sinter::emulator
