// SPDX-License-Identifier: Apache-2.0
// cvt between all types, with every rounding, .sat, .satfinite, .relu and .ftz that PTX has for them, and
// cvt.pack (PTX ISA 9.7.9.22, 9.7.9.23). Integers are compared as 128-bit numbers; narrow formats are rounded
// by a search in their numbers.
#include "test/runtime/device/emulator/OpcodeFuzz.h"

#include <algorithm>
#include <cfenv>
#include <cfloat>
#include <cmath>
#include <gtest/gtest.h>

namespace sinter::emulator {
namespace {

using Values = std::array<u64, 4>;
using To = NarrowFormat::To;

struct Integer {
  const char *name;
  int bits;
  bool isSigned;
  Content reg() const {
    return bits == 64 ? Content::i64 : bits == 16 ? Content::i16 : Content::i32;
  } // 8 bits are in 32
  Whole lowest() const { return isSigned ? -(Whole(1) << (bits - 1)) : 0; }
  Whole highest() const { return (Whole(1) << (isSigned ? bits - 1 : bits)) - 1; }
};
constexpr Integer integers[] = {{"u8", 8, false},   {"s8", 8, true},   {"u16", 16, false}, {"s16", 16, true},
                                {"u32", 32, false}, {"s32", 32, true}, {"u64", 64, false}, {"s64", 64, true}};

TEST(EmulatorOpcodeFuzz, ConversionsBetweenIntegers) {
  OpcodeTable table;
  for (const Integer &to : integers)
    for (const Integer &from : integers)
      for (const bool sat : {false, true})
        table.add(std::string("cvt.") + (sat ? "sat." : "") + to.name + "." + from.name + " %x, %a", to.reg(),
                  {from.reg()}, [=](const Values &v) {
                    const Whole number = whole(v[0], from.bits, from.isSigned),
                                kept = sat ? std::clamp(number, to.lowest(), to.highest()) : number;
                    // What is wider than the type is extended by its sign.
                    return cut(whole(cut(kept, to.bits), to.bits, to.isSigned), 64);
                  });
  table.run();
}

struct Floating {
  const char *name;
  Content content;
  double (*value)(u64); // exactly
};
const Floating floats[] = {{"f16", Content::f16, [](u64 v) { return halfFormat().value(v); }},
                           {"bf16", Content::bf16, [](u64 v) { return bfloatFormat().value(v); }},
                           {"f32", Content::f32, [](u64 v) { return double(asFloat(v)); }},
                           {"f64", Content::f64, [](u64 v) { return asDouble(v); }}};

TEST(EmulatorOpcodeFuzz, ConversionsFromFloatingPointToIntegers) {
  OpcodeTable table;
  const std::pair<const char *, double (*)(double)> roundings[] = {
      {"rni", [](double a) { return std::nearbyint(a); }},
      {"rzi", [](double a) { return std::trunc(a); }},
      {"rmi", [](double a) { return std::floor(a); }},
      {"rpi", [](double a) { return std::ceil(a); }}};
  for (const Floating &from : floats)
    for (const Integer &to : integers)
      for (const auto &[name, rounded] : roundings)
        for (const bool ftz : {false, true}) {
          if (ftz && from.content != Content::f32)
            continue;
          table.add(std::string("cvt.") + name + (ftz ? ".ftz." : ".") + to.name + "." + from.name +
                        " %x, %a",
                    to.reg(), {from.content}, [=, rounded = rounded](const Values &v) {
                      double number = from.value(v[0]);
                      if (std::isnan(number)) // "Integer notes"
                        return cut(
                            whole(from.content == Content::f64 || to.bits == 64 ? u64(1) << (to.bits - 1) : 0,
                                  to.bits, to.isSigned),
                            64);
                      if (ftz && std::fabs(number) < FLT_MIN)
                        number = 0;
                      number = rounded(number);
                      const Whole result = number <= double(to.lowest())    ? to.lowest()
                                           : number >= double(to.highest()) ? to.highest()
                                                                            : Whole(number);
                      return cut(result, 64);
                    });
        }
  table.run();
}

constexpr std::pair<const char *, To> narrowRoundings[] = {
    {"rn", To::nearest}, {"rz", To::zero}, {"rm", To::down}, {"rp", To::up}};
constexpr int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

u64 toFloat(__float128 value, int mode) {
  // The processor's conversion of two doubles that are the value: their sum rounded once, to odd, then to 24
  // bits.
  const double high = double(value), low = double(value - high);
  double odd = high;
  if (low != 0 && !(std::bit_cast<u64>(high) & 1))
    odd = std::nextafter(high, low > 0 ? INFINITY : -INFINITY);
  std::fesetround(mode);
  volatile double source = odd;
  volatile float result = float(source);
  std::fesetround(FE_TONEAREST);
  return bitsOf(float(result));
}
u64 toDouble(Whole value, int mode) {
  const bool negative = value < 0;
  unsigned __int128 magnitude = negative ? -value : value;
  int shift = 0;
  bool sticky = false, half = false;
  while (magnitude >> 53) {
    sticky |= half;
    half = magnitude & 1;
    magnitude >>= 1;
    ++shift;
  }
  const bool away = mode == FE_TONEAREST ? half && (sticky || (magnitude & 1))
                                         : (half || sticky) && ((mode == FE_UPWARD && !negative) ||
                                                                (mode == FE_DOWNWARD && negative));
  const double result = std::ldexp(double(u64(magnitude) + away), shift);
  return bitsOf(negative ? -result : result);
}

TEST(EmulatorOpcodeFuzz, ConversionsFromIntegersToFloatingPoint) {
  OpcodeTable table;
  for (const Integer &from : integers)
    for (size_t i = 0; i < 4; ++i) {
      const auto [name, to] = narrowRoundings[i];
      const auto number = [from](const Values &v) { return whole(v[0], from.bits, from.isSigned); };
      const std::string head = std::string("cvt.") + name + ".";
      table.add(head + "f16." + from.name + " %x, %a", Content::f16, {from.reg()},
                [number, to = to](const Values &v) { return halfFormat().round(__float128(number(v)), to); });
      table.add(
          head + "bf16." + from.name + " %x, %a", Content::bf16, {from.reg()},
          [number, to = to](const Values &v) { return bfloatFormat().round(__float128(number(v)), to); });
      table.add(head + "f32." + from.name + " %x, %a", Content::f32, {from.reg()},
                [number, mode = modes[i]](const Values &v) { return toFloat(__float128(number(v)), mode); });
      table.add(head + "f64." + from.name + " %x, %a", Content::f64, {from.reg()},
                [number, mode = modes[i]](const Values &v) { return toDouble(number(v), mode); });
    }
  table.run();
}

TEST(EmulatorOpcodeFuzz, ConversionsBetweenFloatingPointTypes) {
  OpcodeTable table;
  const auto f32 = [](u64 v, bool ftz) {
    return ftz && std::fabs(asFloat(v)) < FLT_MIN ? std::copysign(0.0, double(asFloat(v)))
                                                  : double(asFloat(v));
  };
  for (size_t i = 0; i < 4; ++i) {
    const auto [name, to] = narrowRoundings[i];
    const std::string head = std::string("cvt.") + name;
    for (const bool ftz : {false, true})
      table.add(head + (ftz ? ".ftz" : "") + ".f32.f64 %x, %a", Content::f32, {Content::f64},
                [ftz, mode = modes[i]](const Values &v) {
                  const float result =
                      asFloat(toFloat(std::isfinite(asDouble(v[0])) ? __float128(asDouble(v[0])) : 0, mode));
                  if (!std::isfinite(asDouble(v[0])))
                    return bitsOf(float(asDouble(v[0])));
                  return bitsOf(ftz && std::fabs(result) < FLT_MIN
                                    ? std::copysign(0.f, asDouble(v[0]) < 0 || std::signbit(asDouble(v[0]))
                                                             ? -1.f
                                                             : 1.f)
                                    : std::copysign(result, float(std::signbit(asDouble(v[0])) ? -1 : 1)));
                });
    for (const bool bfloat : {false, true}) {
      const NarrowFormat &format = bfloat ? bfloatFormat() : halfFormat();
      const Content content = bfloat ? Content::bf16 : Content::f16,
                    pair = bfloat ? Content::bf16x2 : Content::f16x2;
      const std::string type = bfloat ? ".bf16" : ".f16";
      for (const bool relu : {false, true}) {
        if (relu && to != To::nearest && to != To::zero)
          continue;
        const auto one = [=, &format, to = to](u64 bits, bool saturates) -> u64 {
          const double value = f32(bits, false);
          const u64 result = format.round(value, to, saturates);
          return relu && (result & 0x8000) ? 0 : result;
        };
        table.add(head + (relu ? ".relu" : "") + type + ".f32 %x, %a", content, {Content::f32},
                  [=](const Values &v) { return one(v[0], false); });
        if (to == To::nearest || to == To::zero)
          for (const bool finite : {false, true})
            table.add(head + (finite ? ".satfinite" : "") + (relu ? ".relu" : "") + type +
                          "x2.f32 %x, %a, %b",
                      pair, {Content::f32, Content::f32},
                      [=](const Values &v) { return one(v[0], finite) << 16 | one(v[1], finite); });
      }
      table.add(head + type + ".f64 %x, %a", content, {Content::f64},
                [&format, to = to](const Values &v) -> u64 {
                  const double value = asDouble(v[0]);
                  return format.round(value, to);
                });
    }
    // To whole numbers of the same type.
    const std::string whole = std::string("cvt.") + name + "i";
    const auto rounded = [mode = modes[i]](double value) {
      std::fesetround(mode);
      const double result = std::nearbyint(value);
      std::fesetround(FE_TONEAREST);
      return result;
    };
    table.add(whole + ".f32.f32 %x, %a", Content::f32, {Content::f32},
              [=](const Values &v) { return bitsOf(float(rounded(f32(v[0], false)))); });
    table.add(whole + ".ftz.f32.f32 %x, %a", Content::f32, {Content::f32},
              [=](const Values &v) { return bitsOf(float(rounded(f32(v[0], true)))); });
    table.add(whole + ".f64.f64 %x, %a", Content::f64, {Content::f64},
              [=](const Values &v) { return bitsOf(rounded(asDouble(v[0]))); });
    table.add(whole + ".f16.f16 %x, %a", Content::f16, {Content::f16},
              [=](const Values &v) { return u64(halfFormat().round(rounded(halfFormat().value(v[0])))); });
  }
  const auto clamped = [](double a) { return a > 0 ? std::min(a, 1.0) : 0.0; };
  table.add("cvt.f32.f16 %x, %a", Content::f32, {Content::f16},
            [](const Values &v) { return bitsOf(float(halfFormat().value(v[0]))); });
  table.add("cvt.f64.f16 %x, %a", Content::f64, {Content::f16},
            [](const Values &v) { return bitsOf(halfFormat().value(v[0])); });
  table.add("cvt.f32.bf16 %x, %a", Content::f32, {Content::bf16},
            [](const Values &v) { return bitsOf(float(bfloatFormat().value(v[0]))); });
  table.add("cvt.f64.f32 %x, %a", Content::f64, {Content::f32},
            [](const Values &v) { return bitsOf(double(asFloat(v[0]))); });
  table.add("cvt.sat.f32.f32 %x, %a", Content::f32, {Content::f32},
            [=](const Values &v) { return bitsOf(float(clamped(asFloat(v[0])))); });
  table.add("cvt.ftz.sat.f32.f32 %x, %a", Content::f32, {Content::f32},
            [=](const Values &v) { return bitsOf(float(clamped(f32(v[0], true)))); });
  table.add("cvt.sat.f64.f64 %x, %a", Content::f64, {Content::f64},
            [=](const Values &v) { return bitsOf(clamped(asDouble(v[0]))); });
  table.add("cvt.rn.sat.f16.f32 %x, %a", Content::f16, {Content::f32},
            [=](const Values &v) { return u64(halfFormat().round(clamped(asFloat(v[0])))); });
  table.run();
}

TEST(EmulatorOpcodeFuzz, ConversionsOfEightBitsAndTf32) {
  OpcodeTable table;
  const auto f32 = [](u64 v) { return double(asFloat(v)); };
  for (const bool fine : {false, true}) {
    const NarrowFormat &format = fine ? e4m3Format() : e5m2Format();
    const std::string type = fine ? "e4m3x2" : "e5m2x2";
    const Content content = fine ? Content::e4m3x2 : Content::e5m2x2;
    for (const bool relu : {false, true}) {
      const std::string modifier = relu ? ".relu" : "";
      const auto one = [=, &format](double value) -> u64 {
        const u64 result = format.round(value, To::nearest, true);
        return relu && (result & 0x80) ? 0 : result;
      };
      table.add("cvt.rn.satfinite" + modifier + "." + type + ".f32 %x, %a, %b", content,
                {Content::f32, Content::f32},
                [=](const Values &v) { return one(f32(v[0])) << 8 | one(f32(v[1])); });
      table.add("cvt.rn.satfinite" + modifier + "." + type + ".f16x2 %x, %a", content, {Content::f16x2},
                [=](const Values &v) {
                  return one(halfFormat().value(v[0] >> 16)) << 8 | one(halfFormat().value(v[0] & 0xffff));
                });
      const auto widened = [=, &format](u64 bits) -> u64 {
        const u64 result = halfFormat().round(format.value(bits & 0xff));
        return relu && (result & 0x8000) ? 0 : result;
      };
      table.add("cvt.rn" + modifier + ".f16x2." + type + " %x, %a", Content::f16x2, {content},
                [=](const Values &v) { return widened(v[0] >> 8) << 16 | widened(v[0]); });
    }
  }
  for (const auto &[name, to] : {std::pair{"rn", To::nearest}, {"rz", To::zero}, {"rna", To::away}})
    for (const std::string modifier : {"", ".relu", ".satfinite"}) {
      if (modifier == ".relu" && to == To::away)
        continue;
      table.add(std::string("cvt.") + name + modifier + ".tf32.f32 %x, %a", Content::tf32, {Content::f32},
                [=, to = to](const Values &v) -> u64 {
                  const u64 result = u64(tf32Format().round(f32(v[0]), to, modifier == ".satfinite")) << 13;
                  return modifier == ".relu" && (result >> 31) ? 0 : result;
                });
    }
  table.run();
}

TEST(EmulatorOpcodeFuzz, PackingWithSaturation) {
  OpcodeTable table;
  const Content i = Content::i32;
  for (const bool isSigned : {false, true})
    for (const int bits : {16, 8, 4, 2}) {
      const std::string type = (isSigned ? "s" : "u") + std::to_string(bits);
      const Integer to = {"", bits, isSigned};
      const auto both = [=](const Values &v) {
        const auto one = [&](u64 x) {
          return cut(std::clamp(whole(x, 32, true), to.lowest(), to.highest()), bits);
        };
        return one(v[0]) << bits | one(v[1]);
      };
      if (bits == 16)
        table.add("cvt.pack.sat." + type + ".s32 %x, %a, %b", i, {i, i}, both);
      else
        table.add("cvt.pack.sat." + type + ".s32.b32 %x, %a, %b, %c", i, {i, i, i},
                  [=](const Values &v) { return both(v) | v[2] << 2 * bits; });
    }
  table.run();
}

} // namespace
} // namespace sinter::emulator
