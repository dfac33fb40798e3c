// SPDX-License-Identifier: Apache-2.0
// Floating-point arithmetic, comparisons and approximations of f32, f64, f16, bf16 and their pairs (PTX
// ISA 9.7.3 to 9.7.6). f32 and f64 are the processor's, in its four roundings; the narrow formats are rounded
// by a search in the list of their numbers, from results in 113 bits.
#include "test/runtime/device/emulator/OpcodeFuzz.h"

#include <cfenv>
#include <cfloat>
#include <cmath>
#include <gtest/gtest.h>

namespace sinter::emulator {
namespace {

using Values = std::array<u64, 4>;
using To = NarrowFormat::To;

constexpr std::pair<const char *, int> roundings[] = {
    {"rn", FE_TONEAREST}, {"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD}, {"rp", FE_UPWARD}};

template <typename T> T flushed(T x, bool ftz) {
  return ftz && std::fabs(x) < FLT_MIN ? std::copysign(T(0), x) : x;
}
template <typename T> T saturated(T x, bool sat) { return !sat ? x : x > 0 ? std::min(x, T(1)) : T(0); }
template <typename T> T read(u64 bits) {
  if constexpr (sizeof(T) == 4)
    return asFloat(bits);
  else
    return asDouble(bits);
}

template <typename T> struct Operation {
  const char *name;
  int operands;
  T (*compute)(T, T, T);
};
// Of variables that the compiler knows nothing of: nothing is folded or moved over the change of rounding.
template <typename T>
constexpr Operation<T> operations[] = {
    {"add", 2,
     [](T a, T b, T) {
       volatile T x = a, y = b, r = x + y;
       return T(r);
     }},
    {"sub", 2,
     [](T a, T b, T) {
       volatile T x = a, y = b, r = x - y;
       return T(r);
     }},
    {"mul", 2,
     [](T a, T b, T) {
       volatile T x = a, y = b, r = x * y;
       return T(r);
     }},
    {"div", 2,
     [](T a, T b, T) {
       volatile T x = a, y = b, r = x / y;
       return T(r);
     }},
    {"fma", 3,
     [](T a, T b, T c) {
       volatile T x = a, y = b, z = c, r = std::fma(x, y, z);
       return T(r);
     }},
    {"mad", 3,
     [](T a, T b, T c) {
       volatile T x = a, y = b, z = c, r = std::fma(x, y, z);
       return T(r);
     }},
    {"rcp", 1,
     [](T a, T, T) {
       volatile T x = a, r = T(1) / x;
       return T(r);
     }},
    {"sqrt", 1,
     [](T a, T, T) {
       volatile T x = a, r = std::sqrt(x);
       return T(r);
     }},
};

const char *operandsText(int count) {
  static const char *const list[] = {"", " %x, %a", " %x, %a, %b", " %x, %a, %b, %c"};
  return list[count];
}

template <typename T> void addRounded(OpcodeTable &table) {
  const std::string type = sizeof(T) == 4 ? ".f32" : ".f64";
  const Content content = sizeof(T) == 4 ? Content::f32 : Content::f64;
  for (const Operation<T> &each : operations<T>)
    for (const auto &[name, mode] : roundings)
      for (const bool ftz : {false, true})
        for (const bool sat : {false, true}) {
          const std::string opcode = each.name;
          if ((sizeof(T) == 8 && (ftz || sat)) ||
              (sat && (opcode == "div" || opcode == "rcp" || opcode == "sqrt")))
            continue;
          table.add(opcode + "." + name + (ftz ? ".ftz" : "") + (sat ? ".sat" : "") + type +
                        operandsText(each.operands),
                    content, std::vector<Content>(static_cast<size_t>(each.operands), content),
                    [=, mode = mode](const Values &v) {
                      const T a = flushed(read<T>(v[0]), ftz), b = flushed(read<T>(v[1]), ftz),
                              c = flushed(read<T>(v[2]), ftz);
                      std::fesetround(mode);
                      const T result = each.compute(a, b, c);
                      std::fesetround(FE_TONEAREST);
                      return bitsOf(saturated(flushed(result, ftz), sat));
                    });
        }
}

TEST(EmulatorOpcodeFuzz, ArithmeticOfF32AndF64InEveryRounding) {
  OpcodeTable table;
  addRounded<float>(table);
  addRounded<double>(table);
  // Without a rounding: to nearest.
  for (const auto &each : operations<float>)
    if (std::string(each.name).size() == 3 && each.operands == 2 && each.name != std::string("div"))
      table.add(std::string(each.name) + ".f32 %x, %a, %b", Content::f32, {Content::f32, Content::f32},
                [=](const Values &v) { return bitsOf(each.compute(asFloat(v[0]), asFloat(v[1]), 0)); });
  table.run();
}

template <typename T> T smaller(T a, T b) {
  if (std::isnan(a) || std::isnan(b))
    return std::isnan(a) ? b : a;
  return a == b ? (std::signbit(a) ? a : b) : std::min(a, b);
}
template <typename T> T larger(T a, T b) { return -smaller(-a, -b); }

TEST(EmulatorOpcodeFuzz, MinimaSignsAndTestsOfF32AndF64) {
  OpcodeTable table;
  const Content f = Content::f32, d = Content::f64;
  for (const bool maximum : {false, true}) {
    const std::string name = maximum ? "max" : "min";
    const auto pick = [maximum](auto a, auto b) { return maximum ? larger(a, b) : smaller(a, b); };
    for (const bool ftz : {false, true})
      for (const bool nan : {false, true})
        for (const bool sign : {false, true}) {
          const std::string modifiers =
              std::string(ftz ? ".ftz" : "") + (nan ? ".NaN" : "") + (sign ? ".xorsign.abs" : "");
          const auto meaning = [=](float x, float y) {
            const float a = flushed(x, ftz), b = flushed(y, ftz);
            if (nan && (std::isnan(a) || std::isnan(b)))
              return std::nanf("");
            if (!sign)
              return pick(a, b);
            const float result = pick(std::fabs(a), std::fabs(b));
            return std::signbit(a) != std::signbit(b) ? -result : result;
          };
          table.add(name + modifiers + ".f32 %x, %a, %b", f, {f, f},
                    [=](const Values &v) { return bitsOf(meaning(asFloat(v[0]), asFloat(v[1]))); });
          if (!sign)
            table.add(name + modifiers + ".f32 %x, %a, %b, %c", f, {f, f, f}, [=](const Values &v) {
              return bitsOf(meaning(meaning(asFloat(v[0]), asFloat(v[1])), asFloat(v[2])));
            });
        }
    table.add(name + ".f64 %x, %a, %b", d, {d, d},
              [=](const Values &v) { return bitsOf(pick(asDouble(v[0]), asDouble(v[1]))); });
  }
  for (const bool ftz : {false, true}) {
    const std::string modifier = ftz ? ".ftz" : "";
    table.add("neg" + modifier + ".f32 %x, %a", f, {f},
              [=](const Values &v) { return bitsOf(-flushed(asFloat(v[0]), ftz)); });
    table.add("abs" + modifier + ".f32 %x, %a", f, {f},
              [=](const Values &v) { return bitsOf(std::fabs(flushed(asFloat(v[0]), ftz))); });
  }
  table.add("neg.f64 %x, %a", d, {d}, [](const Values &v) { return bitsOf(-asDouble(v[0])); });
  table.add("abs.f64 %x, %a", d, {d}, [](const Values &v) { return bitsOf(std::fabs(asDouble(v[0]))); });
  table.add("copysign.f32 %x, %a, %b", f, {f, f},
            [](const Values &v) { return (v[1] & 0x7fffffff) | (v[0] & 0x80000000); });
  table.add("copysign.f64 %x, %a, %b", d, {d, d},
            [](const Values &v) { return (v[1] & ~(1ull << 63)) | (v[0] & 1ull << 63); });
  const std::pair<const char *, std::vector<int>> tests[] = {
      {"finite", {FP_NORMAL, FP_SUBNORMAL, FP_ZERO}},
      {"infinite", {FP_INFINITE}},
      {"number", {FP_NORMAL, FP_SUBNORMAL, FP_ZERO, FP_INFINITE}},
      {"notanumber", {FP_NAN}},
      {"normal", {FP_NORMAL}},
      {"subnormal", {FP_SUBNORMAL}}};
  for (const auto &[name, classes] : tests)
    for (const bool wide : {false, true})
      table.add(std::string("{ .reg .pred p; testp.") + name + (wide ? ".f64" : ".f32") +
                    " p, %a; selp.b32 %x, 1, 0, p; }",
                Content::i32, {wide ? d : f}, [wide, classes = classes](const Values &v) {
                  const int kind = wide ? std::fpclassify(asDouble(v[0])) : std::fpclassify(asFloat(v[0]));
                  return u64(std::find(classes.begin(), classes.end(), kind) != classes.end());
                });
  table.run();
}

TEST(EmulatorOpcodeFuzz, ComparisonsOfEveryFloatingPointType) {
  OpcodeTable table;
  const std::pair<const char *, bool (*)(double, double)> tests[] = {
      {"eq", [](double a, double b) { return a == b; }},
      {"ne", [](double a, double b) { return a < b || a > b; }},
      {"lt", [](double a, double b) { return a < b; }},
      {"le", [](double a, double b) { return a <= b; }},
      {"gt", [](double a, double b) { return a > b; }},
      {"ge", [](double a, double b) { return a >= b; }},
      {"equ", [](double a, double b) { return a == b || std::isunordered(a, b); }},
      {"neu", [](double a, double b) { return a != b; }},
      {"ltu", [](double a, double b) { return a < b || std::isunordered(a, b); }},
      {"leu", [](double a, double b) { return a <= b || std::isunordered(a, b); }},
      {"gtu", [](double a, double b) { return a > b || std::isunordered(a, b); }},
      {"geu", [](double a, double b) { return a >= b || std::isunordered(a, b); }},
      {"num", [](double a, double b) { return !std::isunordered(a, b); }},
      {"nan", [](double a, double b) { return std::isunordered(a, b); }}};
  const auto halfOf = [](u64 bits, bool ftz) {
    return ftz && !(bits & 0x7c00) ? 0.0 : halfFormat().value(bits & 0xffff);
  };
  const auto bfloatOf = [](u64 bits) { return bfloatFormat().value(bits & 0xffff); };
  for (const auto &[name, holds] : tests) {
    struct Kind {
      std::string type;
      Content content;
      std::function<double(u64)> value;
    };
    const Kind kinds[] = {{"f32", Content::f32, [](u64 v) { return double(asFloat(v)); }},
                          {"ftz.f32", Content::f32, [](u64 v) { return double(flushed(asFloat(v), true)); }},
                          {"f64", Content::f64, asDouble},
                          {"f16", Content::f16, [=](u64 v) { return halfOf(v, false); }},
                          {"ftz.f16", Content::f16, [=](u64 v) { return halfOf(v, true); }},
                          {"bf16", Content::bf16, bfloatOf}};
    for (const Kind &kind : kinds) {
      const auto result = [holds = holds, kind](const Values &v) {
        return holds(kind.value(v[0]), kind.value(v[1]));
      };
      const std::vector<Content> two(2, kind.content);
      table.add(std::string("{ .reg .pred p; setp.") + name + "." + kind.type +
                    " p, %a, %b; selp.b32 %x, 1, 0, p; }",
                Content::i32, two, [result](const Values &v) { return u64(result(v)); });
      const bool ftz = kind.type.starts_with("ftz.");
      const std::string plain = ftz ? kind.type.substr(4) : kind.type;
      for (const std::string to : {"u32", "s32", "f32"})
        table.add(std::string("set.") + name + (ftz ? ".ftz." : ".") + to + "." + plain + " %x, %a, %b",
                  Content::i32, two, [result, to](const Values &v) {
                    return !result(v) ? 0 : to == "f32" ? u64(0x3f800000) : ~u64(0);
                  });
    }
    for (const bool bfloat : {false, true}) {
      const std::string type = bfloat ? "bf16x2" : "f16x2";
      const Content content = bfloat ? Content::bf16x2 : Content::f16x2;
      const auto value = [=](u64 v) { return bfloat ? bfloatOf(v) : halfOf(v, false); };
      const auto half = [=, holds = holds](const Values &v, int i) {
        return holds(value(v[0] >> 16 * i), value(v[1] >> 16 * i));
      };
      table.add(std::string("{ .reg .pred p, q; setp.") + name + "." + type +
                    " p|q, %a, %b; selp.b32 %x, 1, 0, p; @q add.u32 %x, %x, 2; }",
                Content::i32, {content, content},
                [half](const Values &v) { return u64(half(v, 0)) + 2 * u64(half(v, 1)); });
      const u64 one = bfloat ? 0x3f80 : 0x3c00;
      table.add(std::string("set.") + name + "." + type + "." + type + " %x, %a, %b", content,
                {content, content},
                [=](const Values &v) { return (half(v, 0) ? one : 0) | (half(v, 1) ? one << 16 : 0); });
      table.add(
          std::string("set.") + name + ".u32." + type + " %x, %a, %b", Content::i32, {content, content},
          [=](const Values &v) { return u64(half(v, 0) ? 0xffff : 0) | (half(v, 1) ? 0xffff0000 : 0); });
    }
  }
  table.run();
}

/// Sum and product of narrow numbers, with what 113 bits lose of the sum.
struct Exact {
  __float128 value;
  double lost;
};
Exact exactly(const std::string &operation, double a, double b, double c) {
  const __float128 x = operation == "add" || operation == "sub" ? a : __float128(a) * b,
                   y = operation == "add"   ? b
                       : operation == "sub" ? -b
                       : operation == "fma" ? c
                                            : __float128(0);
  if (operation == "mul")
    return {x, 0};
  const __float128 sum = x + y, back = sum - x, lost = (x - (sum - back)) + (y - back);
  return {sum, std::isfinite(double(sum)) ? (lost > 0 ? 1.0 : lost < 0 ? -1.0 : 0.0) : 0.0};
}

TEST(EmulatorOpcodeFuzz, ArithmeticOfF16AndBf16) {
  OpcodeTable table;
  for (const bool bfloat : {false, true})
    for (const std::string operation : {"add", "sub", "mul", "fma"})
      for (const std::string modifier : {"", ".sat", ".relu"})
        for (const bool ftz : {false, true}) {
          if ((modifier == ".relu" && operation != "fma") || (bfloat && (ftz || modifier == ".sat")))
            continue;
          const NarrowFormat &format = bfloat ? bfloatFormat() : halfFormat();
          const auto flush = [ftz](u64 bits) { return ftz && !(bits & 0x7c00) ? bits & 0x8000 : bits; };
          const auto one = [&format, operation, modifier, flush](const Values &v) -> u64 {
            const double a = format.value(flush(v[0])), b = format.value(flush(v[1])),
                         c = format.value(flush(v[2]));
            const Exact exact = exactly(operation, a, b, c);
            const u64 bits = flush(format.round(exact.value, To::nearest, false, exact.lost));
            const double value = format.value(bits);
            if (modifier == ".sat")
              return value > 0 ? (value < 1 ? bits : format.round(1)) : 0;
            if (modifier == ".relu" && (value < 0 || (value == 0 && std::signbit(value))))
              return 0;
            return bits;
          };
          const int operands = operation == "fma" ? 3 : 2;
          const std::string spelling =
              operation + ".rn" + (ftz ? ".ftz" : "") + modifier + (bfloat ? ".bf16" : ".f16");
          const Content single = bfloat ? Content::bf16 : Content::f16,
                        pair = bfloat ? Content::bf16x2 : Content::f16x2;
          table.add(spelling + operandsText(operands), single,
                    std::vector<Content>(static_cast<size_t>(operands), single), one);
          table.add(spelling + "x2" + operandsText(operands), pair,
                    std::vector<Content>(static_cast<size_t>(operands), pair), packed(one));
        }
  table.run();
}

TEST(EmulatorOpcodeFuzz, MinimaAndSignsOfF16AndBf16) {
  OpcodeTable table;
  for (const bool bfloat : {false, true})
    for (const bool two : {false, true}) {
      const NarrowFormat &format = bfloat ? bfloatFormat() : halfFormat();
      const std::string type = std::string(bfloat ? ".bf16" : ".f16") + (two ? "x2" : "");
      const Content content =
          bfloat ? (two ? Content::bf16x2 : Content::bf16) : (two ? Content::f16x2 : Content::f16);
      const auto add = [&](const std::string &text, int operands, std::function<u64(const Values &)> one) {
        table.add(text, content, std::vector<Content>(static_cast<size_t>(operands), content),
                  two ? packed(one) : one);
      };
      for (const bool maximum : {false, true})
        for (const bool nan : {false, true})
          for (const bool sign : {false, true})
            add(std::string(maximum ? "max" : "min") + (nan ? ".NaN" : "") + (sign ? ".xorsign.abs" : "") +
                    type + " %x, %a, %b",
                2, [=, &format](const Values &v) -> u64 {
                  double a = format.value(v[0]), b = format.value(v[1]);
                  if (std::isnan(a) && std::isnan(b))
                    return format.nan();
                  if (nan && std::isunordered(a, b))
                    return format.nan();
                  const bool flip = sign && ((v[0] ^ v[1]) & 0x8000); // also of a NaN
                  if (sign)
                    a = std::fabs(a), b = std::fabs(b);
                  const double result = maximum ? larger(a, b) : smaller(a, b);
                  return format.round(flip ? -result : result);
                });
      add("neg" + type + " %x, %a", 1, [](const Values &v) { return v[0] ^ 0x8000; });
      add("abs" + type + " %x, %a", 1, [](const Values &v) { return v[0] & 0x7fff; });
      if (!bfloat) {
        const auto flush = [](u64 bits) { return bits & 0x7c00 ? bits : bits & 0x8000; };
        add("neg.ftz" + type + " %x, %a", 1, [=](const Values &v) { return flush(v[0] & 0xffff) ^ 0x8000; });
        add("abs.ftz" + type + " %x, %a", 1, [=](const Values &v) { return flush(v[0] & 0xffff) & 0x7fff; });
      }
      // The hardware's error is 2^-9 or less of bf16's and 2^-10 of f16's numbers.
      const double error = bfloat ? 0.008 : 0.001;
      const auto approximate = [&](const std::string &text, double (*meaning)(double)) {
        const std::function<u64(const Values &)> one = [=, &format](const Values &v) -> u64 {
          return format.round(meaning(format.value(v[0] & 0xffff)));
        };
        table.add(text + type + " %x, %a", content, {content}, two ? packed(one) : one, error);
      };
      approximate(bfloat ? "ex2.approx.ftz" : "ex2.approx", [](double a) { return std::exp2(a); });
      approximate("tanh.approx", [](double a) { return std::tanh(a); });
    }
  table.run();
}

TEST(EmulatorOpcodeFuzz, ApproximationsAreWithinTheErrorsThatPtxStates) {
  OpcodeTable table;
  struct Approximation {
    const char *name;
    double (*meaning)(double);
    double relative;
  };
  const Approximation all[] = {{"rcp.approx", [](double a) { return 1 / a; }, 0x1p-22},
                               {"sqrt.approx", [](double a) { return std::sqrt(a); }, 0x1p-22},
                               {"rsqrt.approx", [](double a) { return 1 / std::sqrt(a); }, 0x1p-22},
                               {"ex2.approx", [](double a) { return std::exp2(a); }, 0x1p-22},
                               {"lg2.approx", [](double a) { return std::log2(a); }, 0x1p-22},
                               {"sin.approx", [](double a) { return std::sin(a); }, 0x1p-20},
                               {"cos.approx", [](double a) { return std::cos(a); }, 0x1p-20}};
  const Content f = Content::f32;
  for (const Approximation &each : all)
    for (const bool ftz : {false, true})
      table.add(
          std::string(each.name) + (ftz ? ".ftz" : "") + ".f32 %x, %a", f, {f},
          [=](const Values &v) {
            return bitsOf(flushed(float(each.meaning(double(flushed(asFloat(v[0]), ftz)))), ftz));
          },
          each.relative);
  table.add(
      "tanh.approx.f32 %x, %a", f, {f}, [](const Values &v) { return bitsOf(std::tanh(asFloat(v[0]))); },
      0x1p-11);
  for (const std::string kind : {"full", "approx"})
    table.add(
        "div." + kind + ".f32 %x, %a, %b", f, {f, f},
        [](const Values &v) { return bitsOf(asFloat(v[0]) / asFloat(v[1])); }, 0x1p-22);
  table.add(
      "rsqrt.approx.f64 %x, %a", Content::f64, {Content::f64},
      [](const Values &v) { return bitsOf(1 / std::sqrt(asDouble(v[0]))); }, 1e-9);
  table.run();
}

} // namespace
} // namespace sinter::emulator
