// SPDX-License-Identifier: Apache-2.0
// Integers, bits, shifts, selections and video instructions of every type, on any bits (PTX
// ISA 9.7.1, 9.7.2, 9.7.7, 9.7.8, 9.7.17, 9.7.18). Numbers are computed as 128-bit integers and cut to the
// width of the result.
#include "test/runtime/device/emulator/OpcodeFuzz.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace sinter::emulator {
namespace {

using Values = std::array<u64, 4>;
using Numbers = std::function<Whole(Whole a, Whole b, Whole c)>;

class IntegerTable : public OpcodeTable {
public:
  /// A result and operands of one type.
  void numbers(const std::string &text, const IntegerType &type, int operands, Numbers meaning) {
    add(text, type.content(), std::vector<Content>(static_cast<size_t>(operands), type.content()),
        [=](const Values &v) { return cut(meaning(type.of(v[0]), type.of(v[1]), type.of(v[2])), 64); });
  }
};

std::string spell(const std::string &opcode, const IntegerType &type, int operands) {
  static const char *const list[] = {"", " %x, %a", " %x, %a, %b", " %x, %a, %b, %c"};
  return opcode + "." + type.name + list[operands];
}

Whole lowest(const IntegerType &t) { return t.isSigned ? -(Whole(1) << (t.bits - 1)) : 0; }
Whole highest(const IntegerType &t) { return (Whole(1) << (t.isSigned ? t.bits - 1 : t.bits)) - 1; }

TEST(EmulatorOpcodeFuzz, IntegerArithmeticOfEveryType) {
  IntegerTable table;
  for (const IntegerType &t : integerTypes) {
    table.numbers(spell("add", t, 2), t, 2, [](Whole a, Whole b, Whole) { return a + b; });
    table.numbers(spell("sub", t, 2), t, 2, [](Whole a, Whole b, Whole) { return a - b; });
    table.numbers(spell("mul.lo", t, 2), t, 2,
                  [](Whole a, Whole b, Whole) { return Whole((unsigned __int128)a * (unsigned __int128)b); });
    table.numbers(spell("mad.lo", t, 3), t, 3, [](Whole a, Whole b, Whole c) {
      return Whole((unsigned __int128)a * (unsigned __int128)b + (unsigned __int128)c);
    });
    // Of 64 bits unsigned the product needs all 128 bits: the shift must not bring signs in.
    const auto high = [t](Whole a, Whole b, Whole) {
      return t.isSigned ? a * b >> t.bits : Whole((unsigned __int128)a * (unsigned __int128)b >> t.bits);
    };
    table.numbers(spell("mul.hi", t, 2), t, 2, high);
    table.numbers(spell("mad.hi", t, 3), t, 3,
                  [high](Whole a, Whole b, Whole c) { return high(a, b, c) + c; });
    table.numbers(spell("min", t, 2), t, 2, [](Whole a, Whole b, Whole) { return std::min(a, b); });
    table.numbers(spell("max", t, 2), t, 2, [](Whole a, Whole b, Whole) { return std::max(a, b); });
    table.numbers(spell("sad", t, 3), t, 3,
                  [](Whole a, Whole b, Whole c) { return c + (a < b ? b - a : a - b); });
    // By zero: what hardware does; PTX leaves it open.
    table.numbers(spell("div", t, 2), t, 2,
                  [](Whole a, Whole b, Whole) { return b == 0 ? Whole(-1) : a / b; });
    table.numbers(spell("rem", t, 2), t, 2, [](Whole a, Whole b, Whole) { return b == 0 ? a : a % b; });
    if (t.isSigned) {
      table.numbers(spell("neg", t, 1), t, 1, [](Whole a, Whole, Whole) { return -a; });
      table.numbers(spell("abs", t, 1), t, 1, [](Whole a, Whole, Whole) { return a < 0 ? -a : a; });
    }
    if (t.bits < 64) {
      const Content wide = t.bits == 16 ? Content::i32 : Content::i64;
      table.add(spell("mul.wide", t, 2), wide, {t.content(), t.content()},
                [t](const Values &v) { return cut(t.of(v[0]) * t.of(v[1]), 64); });
      table.add(spell("mad.wide", t, 3), wide, {t.content(), t.content(), wide},
                [t](const Values &v) { return cut(t.of(v[0]) * t.of(v[1]) + Whole(v[2]), 64); });
    }
    if (t.bits == 32) {
      const auto low24 = [t](Whole a) { return whole(cut(a, 24), 24, t.isSigned); };
      table.numbers(spell("mul24.lo", t, 2), t, 2,
                    [low24](Whole a, Whole b, Whole) { return low24(a) * low24(b); });
      table.numbers(spell("mul24.hi", t, 2), t, 2,
                    [low24](Whole a, Whole b, Whole) { return low24(a) * low24(b) >> 16; });
      table.numbers(spell("mad24.lo", t, 3), t, 3,
                    [low24](Whole a, Whole b, Whole c) { return low24(a) * low24(b) + c; });
      table.numbers(spell("mad24.hi", t, 3), t, 3,
                    [low24](Whole a, Whole b, Whole c) { return (low24(a) * low24(b) >> 16) + c; });
    }
  }
  const IntegerType s32 = integerTypes[3];
  const auto clamp = [s32](Whole a) { return std::clamp(a, lowest(s32), highest(s32)); };
  table.numbers("add.sat.s32 %x, %a, %b", s32, 2, [clamp](Whole a, Whole b, Whole) { return clamp(a + b); });
  table.numbers("sub.sat.s32 %x, %a, %b", s32, 2, [clamp](Whole a, Whole b, Whole) { return clamp(a - b); });
  table.numbers("mad.hi.sat.s32 %x, %a, %b, %c", s32, 3,
                [clamp](Whole a, Whole b, Whole c) { return clamp((a * b >> 32) + c); });
  table.numbers("min.relu.s32 %x, %a, %b", s32, 2,
                [](Whole a, Whole b, Whole) { return std::max(Whole(0), std::min(a, b)); });
  table.numbers("max.relu.s32 %x, %a, %b", s32, 2,
                [](Whole a, Whole b, Whole) { return std::max(Whole(0), std::max(a, b)); });
  table.run();
}

/// What a + b + more has beyond `bits`.
u64 carry(u64 a, u64 b, int bits, u64 more = 0) { return u64(((unsigned __int128)a + b + more) >> bits); }

TEST(EmulatorOpcodeFuzz, CarriesGoFromOneInstructionToTheNext) {
  OpcodeTable table;
  using Huge = unsigned __int128;
  for (const char *type : {"u32", "s32", "u64", "s64"}) {
    const int bits = type[1] == '3' ? 32 : 64;
    const bool isSigned = type[0] == 's';
    const Content content = bits == 32 ? Content::i32 : Content::i64;
    const std::string t = type, reg = "{ .reg .b" + std::to_string(bits) + " t, z; mov.b" +
                                      std::to_string(bits) + " z, 0; ";
    const std::vector<Content> three(3, content), four(4, content);
    table.add(reg + "add.cc." + t + " t, %a, %b; addc." + t + " %x, %c, 0; }", content, three,
              [bits](const Values &v) { return v[2] + carry(v[0], v[1], bits); });
    table.add(reg + "sub.cc." + t + " t, %a, %b; subc." + t + " %x, %c, 0; }", content, three,
              [](const Values &v) { return v[2] - (v[0] < v[1]); });
    table.add(reg + "add.cc." + t + " t, %a, %b; addc.cc." + t + " t, %c, %e; addc." + t + " %x, z, z; }",
              content, four,
              [bits](const Values &v) { return carry(v[2], v[3], bits, carry(v[0], v[1], bits)); });
    // The low and the high half of a * b + {e, c}.
    const auto sum = [=](const Values &v) {
      const Whole product =
          isSigned ? whole(v[0], bits, true) * whole(v[1], bits, true) : Whole(Huge(v[0]) * v[1]);
      const u64 low = cut(product, bits),
                high = cut(isSigned ? product >> bits : Whole(Huge(product) >> bits), bits);
      return high + v[3] + carry(low, v[2], bits);
    };
    table.add(reg + "mad.lo.cc." + t + " t, %a, %b, %c; madc.hi." + t + " %x, %a, %b, %e; }", content, four,
              sum);
    table.add(reg + "add.cc." + t + " t, %a, %b; madc.lo.cc." + t + " t, %a, %b, %c; addc." + t +
                  " %x, z, z; }",
              content, three, [bits](const Values &v) {
                return carry(cut(Whole(Huge(v[0]) * v[1]), bits), v[2], bits, carry(v[0], v[1], bits));
              });
  }
  table.run();
}

TEST(EmulatorOpcodeFuzz, PackedIntegersAndProductsOfBytes) {
  OpcodeTable table;
  const std::vector<Content> two(2, Content::i32), three(3, Content::i32);
  for (const bool isSigned : {false, true}) {
    const std::string t = isSigned ? "s16x2" : "u16x2";
    const auto halves = [=](auto each) {
      return packed([=](const Values &v) {
        return cut(each(whole(v[0], 16, isSigned), whole(v[1], 16, isSigned)), 16);
      });
    };
    table.add("add." + t + " %x, %a, %b", Content::i32, two, halves([](Whole a, Whole b) { return a + b; }));
    table.add("min." + t + " %x, %a, %b", Content::i32, two,
              halves([](Whole a, Whole b) { return std::min(a, b); }));
    table.add("max." + t + " %x, %a, %b", Content::i32, two,
              halves([](Whole a, Whole b) { return std::max(a, b); }));
    if (isSigned) {
      table.add("min.relu." + t + " %x, %a, %b", Content::i32, two,
                halves([](Whole a, Whole b) { return std::max(Whole(0), std::min(a, b)); }));
      table.add("max.relu." + t + " %x, %a, %b", Content::i32, two,
                halves([](Whole a, Whole b) { return std::max(Whole(0), std::max(a, b)); }));
    }
    for (const bool signedB : {false, true}) {
      const std::string types = std::string(isSigned ? "s32" : "u32") + (signedB ? ".s32" : ".u32");
      table.add("dp4a." + types + " %x, %a, %b, %c", Content::i32, three, [=](const Values &v) {
        Whole sum = Whole(v[2]);
        for (int i = 0; i < 4; ++i)
          sum += whole(v[0] >> 8 * i, 8, isSigned) * whole(v[1] >> 8 * i, 8, signedB);
        return cut(sum, 32);
      });
      for (const int upper : {0, 2})
        table.add(std::string(upper ? "dp2a.hi." : "dp2a.lo.") + types + " %x, %a, %b, %c", Content::i32,
                  three, [=](const Values &v) {
                    Whole sum = Whole(v[2]);
                    for (int i = 0; i < 2; ++i)
                      sum += whole(v[0] >> 16 * i, 16, isSigned) * whole(v[1] >> 8 * (i + upper), 8, signedB);
                    return cut(sum, 32);
                  });
    }
  }
  table.run();
}

TEST(EmulatorOpcodeFuzz, LogicOfEveryWidthAndEveryTableOfLop3) {
  OpcodeTable table;
  for (const int bits : {16, 32, 64}) {
    const std::string b = ".b" + std::to_string(bits);
    const Content c = bits == 16 ? Content::i16 : bits == 32 ? Content::i32 : Content::i64;
    table.add("and" + b + " %x, %a, %b", c, {c, c}, [](const Values &v) { return v[0] & v[1]; });
    table.add("or" + b + " %x, %a, %b", c, {c, c}, [](const Values &v) { return v[0] | v[1]; });
    table.add("xor" + b + " %x, %a, %b", c, {c, c}, [](const Values &v) { return v[0] ^ v[1]; });
    table.add("not" + b + " %x, %a", c, {c}, [](const Values &v) { return ~v[0]; });
    table.add("cnot" + b + " %x, %a", c, {c}, [](const Values &v) { return u64(v[0] == 0); });
  }
  for (int code = 0; code < 256; ++code)
    table.add("lop3.b32 %x, %a, %b, %c, " + std::to_string(code), Content::i32,
              std::vector<Content>(3, Content::i32), [code](const Values &v) {
                u64 result = 0;
                for (int i = 0; i < 32; ++i) {
                  const int row = int(v[0] >> i & 1) * 4 + int(v[1] >> i & 1) * 2 + int(v[2] >> i & 1);
                  result |= u64(code >> row & 1) << i;
                }
                return result;
              });
  table.run();
}

TEST(EmulatorOpcodeFuzz, ShiftsByAnyCount) {
  OpcodeTable table;
  for (const int bits : {16, 32, 64}) {
    const std::string width = std::to_string(bits);
    const Content c = bits == 16 ? Content::i16 : bits == 32 ? Content::i32 : Content::i64;
    table.add("shl.b" + width + " %x, %a, %b", c, {c, Content::shift},
              [bits](const Values &v) { return u32(v[1]) >= u32(bits) ? 0 : v[0] << v[1]; });
    for (const std::string kind : {"u", "b"})
      table.add("shr." + kind + width + " %x, %a, %b", c, {c, Content::shift},
                [bits](const Values &v) { return u32(v[1]) >= u32(bits) ? 0 : v[0] >> v[1]; });
    table.add("shr.s" + width + " %x, %a, %b", c, {c, Content::shift}, [bits](const Values &v) {
      return cut(whole(v[0], bits, true) >> std::min<u64>(v[1], 100), 64);
    });
  }
  for (const bool left : {false, true})
    for (const bool wraps : {false, true})
      table.add(std::string("shf.") + (left ? "l." : "r.") + (wraps ? "wrap" : "clamp") +
                    ".b32 %x, %a, %b, %c",
                Content::i32, {Content::i32, Content::i32, Content::shift}, [=](const Values &v) {
                  const u64 both = v[1] << 32 | v[0], n = wraps ? v[2] % 32 : std::min<u64>(v[2], 32);
                  return left ? u64((unsigned __int128)both << n >> 32) : both >> n;
                });
  table.run();
}

TEST(EmulatorOpcodeFuzz, BitFieldsCountsAndPermutations) {
  OpcodeTable table;
  for (const IntegerType &t : integerTypes) {
    if (t.bits == 16)
      continue;
    const Content c = t.content();
    const std::string b = ".b" + std::to_string(t.bits);
    table.add("bfe." + std::string(t.name) + " %x, %a, %b, %c", c, {c, Content::shift, Content::shift},
              [t](const Values &v) {
                const u64 at = v[1] & 255, length = v[2] & 255;
                u64 result = 0;
                const auto bit = [&](u64 i) { return v[0] >> std::min<u64>(i, t.bits - 1) & 1; };
                const u64 sign =
                    !t.isSigned || length == 0 ? 0 : bit(std::min<u64>(at + length - 1, t.bits - 1));
                for (u64 i = 0; i < u64(t.bits); ++i)
                  result |= (i < length && at + i < u64(t.bits) ? bit(at + i) : sign) << i;
                return result;
              });
    table.add("bfind." + std::string(t.name) + " %x, %a", Content::i32, {c}, [t](const Values &v) {
      const Whole a = t.of(v[0]) < 0 ? ~t.of(v[0]) : t.of(v[0]);
      for (int i = t.bits - 1; i >= 0; --i)
        if (a >> i & 1)
          return u64(i);
      return ~u64(0);
    });
    table.add("bfind.shiftamt." + std::string(t.name) + " %x, %a", Content::i32, {c}, [t](const Values &v) {
      const Whole a = t.of(v[0]) < 0 ? ~t.of(v[0]) : t.of(v[0]);
      for (int i = t.bits - 1; i >= 0; --i)
        if (a >> i & 1)
          return u64(t.bits - 1 - i);
      return ~u64(0);
    });
    if (t.isSigned)
      continue;
    table.add("bfi" + b + " %x, %a, %b, %c, %e", c, {c, c, Content::shift, Content::shift},
              [t](const Values &v) {
                u64 result = v[1];
                for (u64 i = 0, at = v[2] & 255; i < (v[3] & 255) && at + i < u64(t.bits); ++i)
                  result = (result & ~(u64(1) << (at + i))) | (v[0] >> i & 1) << (at + i);
                return result;
              });
    table.add("popc" + b + " %x, %a", Content::i32, {c},
              [](const Values &v) { return u64(std::popcount(v[0])); });
    table.add("clz" + b + " %x, %a", Content::i32, {c}, [t](const Values &v) {
      u64 n = 0;
      while (n < u64(t.bits) && !(v[0] >> (t.bits - 1 - n) & 1))
        ++n;
      return n;
    });
    table.add("brev" + b + " %x, %a", c, {c}, [t](const Values &v) {
      u64 result = 0;
      for (int i = 0; i < t.bits; ++i)
        result = result << 1 | (v[0] >> i & 1);
      return result;
    });
  }
  const std::vector<Content> counts = {Content::shift, Content::shift};
  for (const bool wraps : {false, true}) {
    const std::string mode = wraps ? "wrap" : "clamp";
    table.add("bmsk." + mode + ".b32 %x, %a, %b", Content::i32, counts, [wraps](const Values &v) {
      const u64 at = wraps ? v[0] % 32 : std::min<u64>(v[0], 32),
                length = wraps ? v[1] % 32 : std::min<u64>(v[1], 32);
      u64 result = 0;
      for (u64 i = at; i < std::min<u64>(32, at + length); ++i)
        result |= u64(1) << i;
      return result;
    });
    for (const bool isSigned : {false, true})
      table.add("szext." + mode + (isSigned ? ".s32" : ".u32") + " %x, %a, %b", Content::i32,
                {Content::i32, Content::shift}, [=](const Values &v) {
                  const u64 n = wraps ? v[1] % 32 : std::min<u64>(v[1], 32);
                  return n == 0 ? 0 : cut(whole(v[0], int(n), isSigned), 64);
                });
  }
  table.add("fns.b32 %x, %a, %b, %c", Content::i32, {Content::i32, Content::shift, Content::i32},
            [](const Values &v) {
              const s64 n = s64(whole(v[2], 32, true));
              const u64 base = v[1] & 0xffffffff;
              if (base > 31)
                return ~u64(0);
              if (n == 0)
                return v[0] >> base & 1 ? base : ~u64(0);
              s64 seen = 0;
              for (s64 i = s64(base); i >= 0 && i < 32; i += n > 0 ? 1 : -1)
                if ((v[0] >> i & 1) && ++seen == (n > 0 ? n : -n))
                  return u64(i);
              return ~u64(0);
            });
  const auto byte = [](const Values &v, u64 i) {
    return (i & 7) < 4 ? v[0] >> 8 * (i & 7) & 255 : v[1] >> 8 * (i & 3) & 255;
  };
  const std::vector<Content> bytes = {Content::i32, Content::i32, Content::byteIndex};
  table.add("prmt.b32 %x, %a, %b, %c", Content::i32, bytes, [byte](const Values &v) {
    u64 result = 0;
    for (int i = 0; i < 4; ++i) {
      const u64 nibble = v[2] >> 4 * i & 15, picked = byte(v, nibble & 7);
      result |= (nibble & 8 ? (picked & 128 ? 255 : 0) : picked) << 8 * i;
    }
    return result;
  });
  // PTX ISA table 36 (prmt): which bytes d.b3 d.b2 d.b1 d.b0 take for a selector of 0, 1, 2, 3.
  const std::pair<const char *, std::array<const char *, 4>> modes[] = {
      {"f4e", {"3210", "4321", "5432", "6543"}}, {"b4e", {"5670", "6701", "7012", "0123"}},
      {"rc8", {"0000", "1111", "2222", "3333"}}, {"ecl", {"3210", "3211", "3222", "3333"}},
      {"ecr", {"0000", "1110", "2210", "3210"}}, {"rc16", {"1010", "3232", "1010", "3232"}}};
  for (const auto &[mode, picks] : modes)
    table.add(std::string("prmt.b32.") + mode + " %x, %a, %b, %c", Content::i32, bytes,
              [byte, picks](const Values &v) {
                u64 result = 0;
                for (int i = 0; i < 4; ++i)
                  result |= byte(v, u64(picks[v[2] & 3][3 - i] - '0')) << 8 * i;
                return result;
              });
  table.run();
}

TEST(EmulatorOpcodeFuzz, ComparisonsAndSelectionsOfIntegers) {
  OpcodeTable table;
  const std::pair<const char *, std::function<bool(Whole, Whole)>> tests[] = {
      {"eq", [](Whole a, Whole b) { return a == b; }}, {"ne", [](Whole a, Whole b) { return a != b; }},
      {"lt", [](Whole a, Whole b) { return a < b; }},  {"le", [](Whole a, Whole b) { return a <= b; }},
      {"gt", [](Whole a, Whole b) { return a > b; }},  {"ge", [](Whole a, Whole b) { return a >= b; }},
      {"lo", [](Whole a, Whole b) { return a < b; }},  {"ls", [](Whole a, Whole b) { return a <= b; }},
      {"hi", [](Whole a, Whole b) { return a > b; }},  {"hs", [](Whole a, Whole b) { return a >= b; }}};
  for (const IntegerType &t : integerTypes)
    for (const auto &[name, holds] : tests) {
      if (t.isSigned && (name[0] == 'h' || (name[0] == 'l' && (name[1] == 'o' || name[1] == 's'))))
        continue;
      const std::string suffix = std::string(name) + "." + t.name;
      const std::vector<Content> two(2, t.content()), three = {t.content(), t.content(), Content::i32};
      const auto result = [t, holds = holds](const Values &v) { return holds(t.of(v[0]), t.of(v[1])); };
      table.add("{ .reg .pred p; setp." + suffix + " p, %a, %b; selp.b32 %x, 5, 9, p; }", Content::i32, two,
                [result](const Values &v) { return u64(result(v) ? 5 : 9); });
      table.add("set." + std::string(name) + ".u32." + t.name + " %x, %a, %b", Content::i32, two,
                [result](const Values &v) { return result(v) ? ~u64(0) : 0; });
      table.add("set." + std::string(name) + ".f32." + t.name + " %x, %a, %b", Content::i32, two,
                [result](const Values &v) { return result(v) ? u64(0x3f800000) : 0; });
      const std::pair<const char *, std::function<bool(bool, bool)>> joins[] = {
          {"and", [](bool a, bool b) { return a && b; }},
          {"or", [](bool a, bool b) { return a || b; }},
          {"xor", [](bool a, bool b) { return a != b; }}};
      for (const auto &[join, both] : joins)
        table.add("{ .reg .pred p, q, r; and.b32 %c, %c, 1; setp.eq.u32 r, %c, 1; setp." + std::string(name) +
                      "." + join + "." + t.name +
                      " p|q, %a, %b, r; selp.b32 %x, 1, 0, p; @q add.u32 %x, %x, 2; }",
                  Content::i32, three, [result, both = both](const Values &v) {
                    const bool c = v[2] & 1;
                    return u64(both(result(v), c)) + 2 * u64(both(!result(v), c));
                  });
    }
  for (const int bits : {16, 32, 64}) {
    const Content c = bits == 16 ? Content::i16 : bits == 32 ? Content::i32 : Content::i64;
    const std::string b = ".b" + std::to_string(bits);
    table.add("slct" + b + ".s32 %x, %a, %b, %c", c, {c, c, Content::i32},
              [](const Values &v) { return v[2] >> 31 & 1 ? v[1] : v[0]; });
    table.add("slct" + b + ".f32 %x, %a, %b, %c", c, {c, c, Content::f32},
              [](const Values &v) { return asFloat(v[2]) >= 0 ? v[0] : v[1]; });
    table.add("{ .reg .pred p; setp.ne.s32 p, %c, 0; selp" + b + " %x, %a, %b, p; }", c,
              {c, c, Content::shift}, [](const Values &v) { return v[2] ? v[0] : v[1]; });
  }
  table.run();
}

TEST(EmulatorOpcodeFuzz, VideoInstructions) {
  OpcodeTable table;
  using Pair = std::function<Whole(Whole, Whole)>;
  const std::pair<const char *, Pair> operations[] = {
      {"vadd", [](Whole a, Whole b) { return a + b; }},
      {"vsub", [](Whole a, Whole b) { return a - b; }},
      {"vabsdiff", [](Whole a, Whole b) { return a < b ? b - a : a - b; }},
      {"vmin", [](Whole a, Whole b) { return std::min(a, b); }},
      {"vmax", [](Whole a, Whole b) { return std::max(a, b); }},
      {"vavrg", [](Whole a, Whole b) { return (a + b + 1) >> 1; }}};
  const std::vector<Content> three(3, Content::i32);
  for (const auto &[name, operation] : operations)
    for (const int parts : {1, 2, 4})
      for (int signs = 0; signs < 8; ++signs)
        for (const bool saturates : {false, true}) {
          if (parts == 1 && std::string(name) == "vavrg")
            continue;
          const int bits = 32 / parts;
          const bool d = signs & 1, a = signs & 2, b = signs & 4;
          const auto type = [](bool isSigned) { return std::string(isSigned ? ".s32" : ".u32"); };
          const std::string spelling = name + (parts > 1 ? std::to_string(parts) : "") + type(d) + type(a) +
                                       type(b) + (saturates ? ".sat" : "");
          const auto one = [=, operation = operation](const Values &v, int i) {
            const Whole result = operation(whole(v[0] >> i * (parts > 1 ? bits : 0), bits, a),
                                           whole(v[1] >> i * (parts > 1 ? bits : 0), bits, b));
            const IntegerType t{"", bits, d};
            return saturates ? std::clamp(result, lowest(t), highest(t)) : result;
          };
          table.add(spelling + " %x, %a, %b" + (parts > 1 ? ", %c" : ""), Content::i32, three,
                    [=](const Values &v) {
                      u64 result = 0;
                      for (int i = 0; i < parts; ++i)
                        result |= cut(one(v, i), bits) << i * bits;
                      return result;
                    });
          table.add(spelling + ".add %x, %a, %b, %c", Content::i32, three, [=](const Values &v) {
            Whole sum = Whole(v[2]);
            for (int i = 0; i < parts; ++i)
              sum += one(v, i);
            return cut(sum, 32);
          });
        }
  for (const bool left : {false, true})
    for (const bool wraps : {false, true})
      for (int signs = 0; signs < 4; ++signs)
        for (const bool saturates : {false, true}) {
          const bool d = signs & 1, a = signs & 2;
          const IntegerType to{"", 32, d};
          table.add(std::string(left ? "vshl" : "vshr") + (d ? ".s32" : ".u32") + (a ? ".s32" : ".u32") +
                        ".u32" + (saturates ? ".sat" : "") + (wraps ? ".wrap" : ".clamp") + " %x, %a, %b",
                    Content::i32, {Content::i32, Content::shift}, [=](const Values &v) {
                      const u64 n = wraps ? v[1] % 32 : std::min<u64>(v[1], 32);
                      const Whole number = whole(v[0], 32, a),
                                  result = left ? number * (Whole(1) << n) : number >> n;
                      return cut(saturates ? std::clamp(result, lowest(to), highest(to)) : result, 32);
                    });
        }
  const std::pair<const char *, std::function<bool(Whole, Whole)>> comparisons[] = {
      {"eq", [](Whole a, Whole b) { return a == b; }}, {"ne", [](Whole a, Whole b) { return a != b; }},
      {"lt", [](Whole a, Whole b) { return a < b; }},  {"le", [](Whole a, Whole b) { return a <= b; }},
      {"gt", [](Whole a, Whole b) { return a > b; }},  {"ge", [](Whole a, Whole b) { return a >= b; }}};
  for (const auto &[name, holds] : comparisons) {
    table.add(std::string("vset.s32.u32.") + name + " %x, %a, %b", Content::i32, {Content::i32, Content::i32},
              [holds = holds](const Values &v) { return u64(holds(whole(v[0], 32, true), Whole(v[1]))); });
    table.add(std::string("vset4.s32.s32.") + name + ".add %x, %a, %b, %c", Content::i32, three,
              [holds = holds](const Values &v) {
                u64 sum = v[2];
                for (int i = 0; i < 4; ++i)
                  sum += holds(whole(v[0] >> 8 * i, 8, true), whole(v[1] >> 8 * i, 8, true));
                return sum;
              });
  }
  // Parts of registers: of a and b, and where the result goes in c.
  struct Part {
    const char *name;
    int shift, bits;
  };
  const Part parts[] = {{"", 0, 32},    {".b0", 0, 8},  {".b1", 8, 8},  {".b2", 16, 8},
                        {".b3", 24, 8}, {".h0", 0, 16}, {".h1", 16, 16}};
  for (const Part &to : parts)
    for (const Part &left : parts)
      for (const Part &right : parts)
        for (int signs = 0; signs < 8; ++signs)
          for (const bool saturates : {false, true}) {
            const bool d = signs & 1, a = signs & 2, b = signs & 4;
            const auto type = [](bool isSigned) { return std::string(isSigned ? ".s32" : ".u32"); };
            table.add("vsub" + type(d) + type(a) + type(b) + (saturates ? ".sat" : "") + " %x" + to.name +
                          ", %a" + left.name + ", %b" + right.name + (to.bits < 32 ? ", %c" : ""),
                      Content::i32, three, [=](const Values &v) {
                        Whole result = whole(v[0] >> left.shift, left.bits, a) -
                                       whole(v[1] >> right.shift, right.bits, b);
                        const IntegerType t{"", to.bits, d};
                        result = saturates ? std::clamp(result, lowest(t), highest(t)) : result;
                        const u64 mask = ((u64(1) << to.bits) - 1) << to.shift;
                        return (to.bits < 32 ? v[2] & ~mask : 0) | (cut(result, to.bits) << to.shift & mask);
                      });
          }
  table.add("vmax.s32.s32.s32.add %x, %a.h1, %b.b2, %c", Content::i32, three, [](const Values &v) {
    return cut(std::max(whole(v[0] >> 16, 16, true), whole(v[1] >> 16, 8, true)) + Whole(v[2]), 32);
  });
  table.add("vset.s32.u32.gt %x.h1, %a.b3, %b.h0, %c", Content::i32, three, [](const Values &v) {
    return (v[2] & 0xffff) | u64(whole(v[0] >> 24, 8, true) > Whole(v[1] & 0xffff)) << 16;
  });
  table.add("vshl.u32.u32.u32.wrap %x.b0, %a.h0, %b.b1, %c", Content::i32, three, [](const Values &v) {
    return (v[2] & 0xffffff00) | ((v[0] & 0xffff) << (v[1] >> 8 & 31) & 0xff);
  });
  // Elements in another order, of both, and written in part. Numbers: the highest place first.
  const auto chosen = [](const Values &v, char digit, int bits) {
    const int index = digit - '0', count = 32 / bits;
    return whole((index < count ? v[0] : v[1]) >> index % count * bits, bits, true);
  };
  const auto elements = [&](const std::string &name, int bits, const std::string &mask, const std::string &a,
                            const std::string &b) {
    const std::string letter = bits == 8 ? ".b" : ".h";
    const int count = 32 / bits;
    const std::string operands = " %x" + (mask.empty() ? "" : letter + mask) + ", %a" +
                                 (a.empty() ? "" : letter + a) + ", %b" + (b.empty() ? "" : letter + b) +
                                 ", %c";
    const std::string left = a.empty() ? (bits == 8 ? "3210" : "10") : a,
                      right = b.empty() ? (bits == 8 ? "7654" : "32") : b;
    const auto isWritten = [=](int i) { return mask.empty() || mask.find(char('0' + i)) != mask.npos; };
    const auto value = [=](const Values &v, int i) {
      const size_t place = size_t(count - 1 - i);
      return chosen(v, left[place], bits) - chosen(v, right[place], bits);
    };
    table.add(name + ".s32.s32.s32" + operands, Content::i32, three, [=](const Values &v) {
      u64 result = 0;
      for (int i = 0; i < count; ++i)
        result |= (isWritten(i) ? cut(value(v, i), bits) : v[2] >> i * bits & ((u64(1) << bits) - 1))
                  << i * bits;
      return result;
    });
    table.add(name + ".s32.s32.s32.add" + operands, Content::i32, three, [=](const Values &v) {
      Whole sum = Whole(v[2]);
      for (int i = 0; i < count; ++i)
        sum += isWritten(i) ? value(v, i) : 0;
      return cut(sum, 32);
    });
  };
  for (const char *mask : {"", "0", "1", "10"})
    for (const char *a : {"", "01", "23", "30", "22"})
      for (const char *b : {"", "10", "13"})
        elements("vsub2", 16, mask, a, b);
  for (const char *mask : {"", "0", "2", "20", "310", "3210"})
    for (const char *a : {"", "0123", "7654", "5037", "2222"})
      for (const char *b : {"", "3210", "1746"})
        elements("vsub4", 8, mask, a, b);
  table.run();
}

} // namespace
} // namespace sinter::emulator
