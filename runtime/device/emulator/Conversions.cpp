// SPDX-License-Identifier: Apache-2.0
// cvt between all types (PTX ISA 9.7.9.21), cvt.pack, and the change of a register's width. Frequent
// conversions have loops of their own; the rest goes through one exact description of a number, a lane after
// the other.
#include "runtime/device/emulator/Arithmetic.h"
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <algorithm>
#include <cfenv>
#include <cfloat>
#include <cmath>
#include <cstring>

namespace sinter::emulator {

namespace {

template <typename From> Handlers resizeFrom(unsigned toBytes) {
  const auto make = []<typename To>() { return unary<To, From>([](From a) { return static_cast<To>(a); }); };
  switch (toBytes) {
  case 1:
    return make.template operator()<uint8_t>();
  case 2:
    return make.template operator()<uint16_t>();
  case 4:
    return make.template operator()<uint32_t>();
  default:
    return make.template operator()<uint64_t>();
  }
}

struct Conversion {
  Type to, from;
  Rounding rounding = Rounding::nearest;
  bool toInteger = false; // .rni and the like: round to a whole number
  bool ftz = false, sat = false, finite = false, relu = false;
};

/// A number of any source type, exactly.
struct Number {
  bool isInteger;
  __int128 integer;
  double real;
};

template <typename T> T lane(const uint8_t *slot, int index) {
  T value;
  std::memcpy(&value, slot + sizeof(T) * static_cast<size_t>(index), sizeof(T));
  return value;
}

Number load(const uint8_t *slot, int index, const Conversion &how) {
  switch (how.from) {
  case Type::u8:
  case Type::b8:
    return {true, lane<uint8_t>(slot, index), 0};
  case Type::s8:
    return {true, lane<int8_t>(slot, index), 0};
  case Type::u16:
  case Type::b16:
    return {true, lane<uint16_t>(slot, index), 0};
  case Type::s16:
    return {true, lane<int16_t>(slot, index), 0};
  case Type::u32:
  case Type::b32:
    return {true, lane<uint32_t>(slot, index), 0};
  case Type::s32:
    return {true, lane<int32_t>(slot, index), 0};
  case Type::u64:
  case Type::b64:
    return {true, lane<uint64_t>(slot, index), 0};
  case Type::s64:
    return {true, lane<int64_t>(slot, index), 0};
  case Type::f16:
    return {false, 0, halfToFloat(lane<uint16_t>(slot, index))};
  case Type::bf16:
    return {false, 0, bfloatToFloat(lane<uint16_t>(slot, index))};
  case Type::f64:
    return {false, 0, lane<double>(slot, index)};
  default: {
    const float value = lane<float>(slot, index);
    return {false, 0, how.ftz && std::fabs(value) < FLT_MIN ? std::copysign(0.0f, value) : value};
  }
  }
}

double rounded(double value, Rounding rounding) {
  switch (rounding) {
  case Rounding::zero:
    return std::trunc(value);
  case Rounding::down:
    return std::floor(value);
  case Rounding::up:
    return std::ceil(value);
  case Rounding::away:
    return std::round(value);
  default:
    return std::nearbyint(value);
  }
}

/// The bits of an integer result: clamped to the type's range. NaN is 0 unless the source is .f64 or the
/// result has 64 bits; then it is the top bit alone (PTX ISA 9.7.9.22, "Integer notes").
uint64_t toInteger(const Number &number, const Conversion &how) {
  const unsigned bits = bytesOf(how.to) * 8;
  const __int128 lowest = isSigned(how.to) ? -(__int128(1) << (bits - 1)) : 0;
  const __int128 highest = (__int128(1) << (isSigned(how.to) ? bits - 1 : bits)) - 1;
  if (number.isInteger)
    return static_cast<uint64_t>(how.sat ? std::clamp(number.integer, lowest, highest) : number.integer);
  if (std::isnan(number.real))
    return how.from == Type::f64 || bits == 64 ? 1ull << (bits - 1) : 0;
  const double whole = rounded(number.real, how.rounding);
  if (whole <= static_cast<double>(lowest))
    return static_cast<uint64_t>(lowest);
  if (whole >= static_cast<double>(highest))
    return static_cast<uint64_t>(highest);
  return static_cast<uint64_t>(static_cast<__int128>(whole));
}

/// A 64-bit integer as T, in the rounding mode asked for (a double would round first).
template <typename T> T integerToFloat(__int128 value, Rounding rounding) {
  constexpr int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};
  std::fesetround(modes[static_cast<int>(rounding) & 3]);
  volatile int64_t low = static_cast<int64_t>(value);
  volatile uint64_t whole = static_cast<uint64_t>(value);
  volatile T result = value < 0 || value <= INT64_MAX ? static_cast<T>(low) : static_cast<T>(whole);
  std::fesetround(FE_TONEAREST);
  return result;
}

/// As a double that is rounded once more: cut off, and its last bit 1 if that lost something.
double integerToOdd(__int128 value) {
  const double cut = integerToFloat<double>(value, Rounding::zero);
  return static_cast<__int128>(cut) == value ? cut : std::bit_cast<double>(std::bit_cast<uint64_t>(cut) | 1);
}

uint64_t toFloat(Number number, const Conversion &how) {
  if (number.isInteger) {
    if (how.to == Type::f32)
      return std::bit_cast<uint32_t>(integerToFloat<float>(number.integer, how.rounding));
    if (how.to == Type::f64)
      number.real = integerToFloat<double>(number.integer, how.rounding);
    else
      number.real = integerToOdd(number.integer);
  }
  double value = number.real;
  if (how.toInteger)
    value = rounded(value, how.rounding);
  if (how.sat)
    value = value > 0 ? std::min(value, 1.0) : 0.0;
  if (how.relu && (value < 0 || (value == 0 && std::signbit(value))))
    value = 0;
  switch (how.to) {
  case Type::f64:
    return std::bit_cast<uint64_t>(value);
  case Type::f32: {
    const float result = std::isnan(value) ? std::bit_cast<float>(0x7fffffffu)
                                           : std::bit_cast<float>(encodeFloat<8, 23>(value, how.rounding));
    return std::bit_cast<uint32_t>(how.ftz && std::fabs(result) < FLT_MIN ? std::copysign(0.0f, result)
                                                                          : result);
  }
  case Type::tf32: {
    if (how.finite && std::isinf(value))
      value = std::copysign(FLT_MAX, value);
    return encodeFloat<8, 10>(value, how.rounding, how.finite) << 13;
  }
  case Type::f16:
    return floatToHalf(value, how.rounding, how.finite);
  case Type::bf16:
    return floatToBfloat(value, how.rounding, how.finite);
  case Type::e4m3:
    return floatToE4m3(value);
  case Type::e5m2:
    return floatToE5m2(value);
  default:
    return 0;
  }
}

void store(uint8_t *slot, int index, unsigned bytes, uint64_t value) {
  std::memcpy(slot + bytes * static_cast<size_t>(index), &value, bytes);
}

void convertLanes(Warp &warp, const Instruction &in) {
  const Conversion &how = *static_cast<const Conversion *>(in.detail);
  const bool integer = !isFloat(how.to);
  eachActive(warp, [&](int index) {
    const Number number = load(warp.frame + in.a, index, how);
    store(warp.frame + in.d, index, bytesOf(how.to), integer ? toInteger(number, how) : toFloat(number, how));
  });
}

/// Two numbers into the halves of one register: the first operand becomes the high half.
void packLanes(Warp &warp, const Instruction &in) {
  const Conversion &how = *static_cast<const Conversion *>(in.detail);
  const unsigned bytes = bytesOf(how.to);
  eachActive(warp, [&](int index) {
    const uint64_t high = toFloat(load(warp.frame + in.a, index, how), how),
                   low = toFloat(load(warp.frame + in.b, index, how), how);
    store(warp.frame + in.d, index, 2 * bytes, high << bytes * 8 | low);
  });
}

/// Two halves of one register into the halves of another.
void repackLanes(Warp &warp, const Instruction &in) {
  const Conversion &how = *static_cast<const Conversion *>(in.detail);
  const unsigned to = bytesOf(how.to), from = bytesOf(how.from);
  eachActive(warp, [&](int index) {
    uint64_t result = 0;
    for (int half = 0; half < 2; ++half) {
      const uint8_t *slot = warp.frame + in.a;
      const int part = 2 * index + half;
      const Number number = how.from == Type::e4m3   ? Number{false, 0, e4m3ToFloat(slot[part])}
                            : how.from == Type::e5m2 ? Number{false, 0, e5m2ToFloat(slot[part])}
                                                     : load(slot, part, how);
      result |= toFloat(number, how) << half * to * 8;
    }
    (void)from;
    store(warp.frame + in.d, index, 2 * to, result);
  });
}

Type elementOf(Type packed) {
  switch (packed) {
  case Type::f16x2:
    return Type::f16;
  case Type::bf16x2:
    return Type::bf16;
  case Type::e4m3x2:
    return Type::e4m3;
  case Type::e5m2x2:
    return Type::e5m2;
  default:
    return Type::none;
  }
}

/// Loops for what kernels convert most; null handlers where there is none.
Handlers frequent(const Conversion &how) {
  if (how.sat || how.finite || how.relu || how.ftz)
    return {};
  const auto is = [&](Type to, Type from) { return how.to == to && how.from == from; };
  const bool integers = !isFloat(how.to) && !isFloat(how.from);
  if (integers)
    return resize(bytesOf(how.from), bytesOf(how.to), isSigned(how.from));
  if (is(Type::f32, Type::f16))
    return unary<float, Half>([](Half a) { return halfToFloat(a.bits); });
  if (is(Type::f32, Type::bf16))
    return unary<float, Bfloat>([](Bfloat a) { return bfloatToFloat(a.bits); });
  if (how.toInteger && how.rounding == Rounding::nearest) {
    if (is(Type::f32, Type::f32))
      return unary<float, float>(
          [](float a) { return a != a ? std::bit_cast<float>(0x7fffffffu) : __builtin_roundevenf(a); });
    if (is(Type::s32, Type::f32))
      return unary<int32_t, float>([](float a) {
        const float whole = __builtin_roundevenf(a);
        return a != a                    ? 0
               : whole >= 2147483648.0f  ? INT32_MAX
               : whole <= -2147483648.0f ? INT32_MIN
                                         : static_cast<int32_t>(whole);
      });
    return {};
  }
  if (how.toInteger || how.rounding != Rounding::nearest) {
    if (how.rounding == Rounding::zero && is(Type::s32, Type::f32))
      return unary<int32_t, float>([](float a) {
        return a != a                ? 0
               : a >= 2147483648.0f  ? INT32_MAX
               : a <= -2147483648.0f ? INT32_MIN
                                     : static_cast<int32_t>(a);
      });
    return {};
  }
  if (is(Type::f32, Type::s32))
    return unary<float, int32_t>([](int32_t a) { return static_cast<float>(a); });
  if (is(Type::f32, Type::u32))
    return unary<float, uint32_t>([](uint32_t a) { return static_cast<float>(a); });
  if (is(Type::f16, Type::f32))
    return unary<uint16_t, float>([](float a) { return nearestHalf(a); });
  if (is(Type::bf16, Type::f32))
    return unary<uint16_t, float>([](float a) { return nearestBfloat(a); });
  if (is(Type::f64, Type::f32))
    return unary<double, float>([](float a) { return static_cast<double>(a); });
  if (is(Type::f32, Type::f64))
    return unary<float, double>([](double a) { return static_cast<float>(a); });
  return {};
}

/// cvt.pack.sat.d.s32 d, a, b: {a, b} as two of 16 bits. With a third type, of 8, 4 or 2 bits: d = {c, a, b}
/// where c is shifted up (PTX ISA 9.7.9.23).
void pack(Translator &t) {
  if (!t.take("sat"))
    return t.fail("expected .sat");
  struct Width {
    const char *name;
    unsigned bits;
    bool isSigned;
  };
  static constexpr Width widths[] = {{"u16", 16, false}, {"s16", 16, true}, {"u8", 8, false},
                                     {"s8", 8, true},    {"u4", 4, false},  {"s4", 4, true},
                                     {"u2", 2, false},   {"s2", 2, true}};
  const Width *width = nullptr;
  for (const Width &each : widths)
    if (!width && t.take(each.name))
      width = &each;
  if (!width || !t.take("s32"))
    return t.fail("expected a result of 16, 8, 4 or 2 bits and .s32");
  const bool shifts = t.take("b32");
  if (shifts != (width->bits < 16))
    return t.fail("expected .b32 with results of 8, 4 or 2 bits");
  const uint32_t a = t.source(1, Type::s32), b = t.source(2, Type::s32),
                 c = shifts ? t.source(3, Type::b32) : 0, d = t.target(0, Type::b32);
  Instruction &in = t.emit(
      +[](Warp &warp, const Instruction &in) {
        const auto &width = *static_cast<const Width *>(in.detail);
        const int64_t lowest = width.isSigned ? -(1ll << (width.bits - 1)) : 0,
                      highest = (1ll << (width.isSigned ? width.bits - 1 : width.bits)) - 1;
        const uint32_t mask = (1u << width.bits) - 1;
        eachActive(warp, [&](int lane) {
          const auto field = [&](uint32_t slot) {
            return static_cast<uint32_t>(
                       std::clamp<int64_t>(warp.reg<int32_t>(slot)[lane], lowest, highest)) &
                   mask;
          };
          const uint32_t rest = width.bits < 16 ? warp.reg<uint32_t>(in.c)[lane] << 2 * width.bits : 0;
          warp.reg<uint32_t>(in.d)[lane] = rest | field(in.a) << width.bits | field(in.b);
        });
      },
      InstructionClass::conversion);
  in.a = a, in.b = b, in.c = c, in.d = d;
  in.detail = width;
}

void cvt(Translator &t) {
  if (t.take("pack"))
    return pack(t);
  Conversion how;
  const int whole = t.takeOneOf({"rni", "rzi", "rmi", "rpi"});
  how.toInteger = whole >= 0;
  how.rounding = whole >= 0 ? static_cast<Rounding>(whole) : t.rounding(Rounding::nearest);
  how.ftz = t.take("ftz");
  how.sat = t.take("sat");
  how.finite = t.take("satfinite");
  how.relu = t.take("relu");
  how.to = t.needType();
  how.from = t.needType();
  const Type to = how.to, from = how.from;
  Instruction *in = nullptr;
  uint32_t a = 0, b = 0, d = 0;
  if (const Type element = elementOf(to); element != Type::none) {
    how.to = element;
    a = t.source(1, from);
    if (elementOf(from) != Type::none) {
      how.from = elementOf(from);
      d = t.target(0, to);
      in = &t.emit(&repackLanes, InstructionClass::conversion);
    } else if (from == Type::f32 && t.operandCount() == 3) {
      b = t.source(2, from);
      d = t.target(0, to);
      const bool plain =
          how.rounding == Rounding::nearest && !how.relu && !how.finite && !how.sat && !how.ftz;
      if (plain && element == Type::bf16)
        in = &t.emit(binary<uint32_t, float>([](float x, float y) {
                       return uint32_t(nearestBfloat(x)) << 16 | nearestBfloat(y);
                     }),
                     InstructionClass::conversion);
      else if (plain && element == Type::f16)
        in = &t.emit(binary<uint32_t, float>(
                         [](float x, float y) { return uint32_t(nearestHalf(x)) << 16 | nearestHalf(y); }),
                     InstructionClass::conversion);
      else
        in = &t.emit(&packLanes, InstructionClass::conversion);
    } else {
      return t.fail("expected sources .f32, .f32 or a packed type");
    }
  } else {
    if (bytesOf(to) == 0 || bytesOf(from) == 0 || bytesOf(to) > 8 || bytesOf(from) > 8 ||
        elementOf(from) != Type::none || from == Type::e4m3 || from == Type::e5m2 || to == Type::e4m3 ||
        to == Type::e5m2)
      return t.fail("conversion from .{} to .{} is not supported", nameOf(from), nameOf(to));
    a = t.source(1, from);
    d = t.target(0, to);
    const Handlers fast = frequent(how);
    in = &t.emit(fast.full ? fast : Handlers{&convertLanes, &convertLanes}, InstructionClass::conversion);
  }
  in->a = a, in->b = b, in->d = d;
  in->detail = t.keep(how);
}

} // namespace

Handlers resize(unsigned fromBytes, unsigned toBytes, bool isSignedType) {
  switch (fromBytes) {
  case 1:
    return isSignedType ? resizeFrom<int8_t>(toBytes) : resizeFrom<uint8_t>(toBytes);
  case 2:
    return isSignedType ? resizeFrom<int16_t>(toBytes) : resizeFrom<uint16_t>(toBytes);
  case 4:
    return isSignedType ? resizeFrom<int32_t>(toBytes) : resizeFrom<uint32_t>(toBytes);
  default:
    return isSignedType ? resizeFrom<int64_t>(toBytes) : resizeFrom<uint64_t>(toBytes);
  }
}

std::span<const Opcode> conversionOpcodes() {
  static constexpr Opcode table[] = {{"cvt", cvt}};
  return table;
}

} // namespace sinter::emulator
