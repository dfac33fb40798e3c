// SPDX-License-Identifier: Apache-2.0
// Each opcode against a plain C++ meaning of it, on random numbers and the edges of their types, with all
// lanes active and with a guard that only some pass.
#include "runtime/device/emulator/Floats.h"
#include "test/runtime/device/emulator/PtxRunner.h"

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

namespace sinter::emulator {
namespace {

constexpr int lanes = 32, rounds = 8;

/// Numbers that find mistakes, then random ones.
template <typename T> T sample(std::mt19937_64 &random) {
  if constexpr (std::is_floating_point_v<T>) {
    static constexpr T edges[] = {
        T(0),     T(-0.0), T(1),   T(-1), T(0.5), T(3), T(1e30), T(-7.25), std::numeric_limits<T>::infinity(),
        T(1e-30), T(2.5),  T(-2.5)};
    if (random() % 3 == 0)
      return edges[random() % std::size(edges)];
    return std::uniform_real_distribution<T>(-100, 100)(random);
  } else {
    static constexpr T edges[] = {
        0, 1, T(-1), std::numeric_limits<T>::max(), std::numeric_limits<T>::min(), 2, 31, 32, 33, 5};
    if (random() % 2 == 0)
      return edges[random() % std::size(edges)];
    return static_cast<T>(random());
  }
}

/// d = op a, b, c, where the registers %a, %b, %c, %x are declared with the widths of the types.
template <typename D, typename A, typename B, typename C>
void check(const std::string &instruction, std::function<D(A, B, C)> meaning, bool exact = true) {
  std::mt19937_64 random(instruction.size() * 77 + static_cast<unsigned char>(instruction.back()));
  for (int round = 0; round < rounds; ++round) {
    PtxRunner runner;
    std::vector<A> a(lanes);
    std::vector<B> b(lanes);
    std::vector<C> c(lanes);
    for (int i = 0; i < lanes; ++i)
      a[i] = sample<A>(random), b[i] = sample<B>(random), c[i] = sample<C>(random);
    const std::vector<D> before(lanes, std::bit_cast<D>(std::array<uint8_t, sizeof(D)>{42}));
    const uint64_t out = runner.buffer(before);
    runner.buffer(a), runner.buffer(b), runner.buffer(c);
    const auto type = [](size_t bytes) { return ".b" + std::to_string(8 * bytes); };
    std::string body = "mov.u32 %r50, %tid.x;\n";
    const size_t sizes[] = {sizeof(D), sizeof(A), sizeof(B), sizeof(C)};
    const char *names[] = {"%x", "%a", "%b", "%c"};
    for (int i = 0; i < 4; ++i) {
      const std::string n = std::to_string(i);
      body += ".reg " + type(sizes[i]) + " " + names[i] + ";\nld.param.u64 %d" + n + ", [p" + n +
              "];\nmad.wide.u32 %d" + n + ", %r50, " + std::to_string(sizes[i]) + ", %d" + n +
              ";\nld.global" + type(sizes[i]) + " " + names[i] + ", [%d" + n + "];\n";
    }
    const bool guarded = round % 2 && instruction[0] != '{';
    body += "and.b32 %r51, %r50, 5; setp.eq.u32 %p1, %r51, 4;\n";
    body += (guarded ? "@!%p1 " : "") + instruction + ";\nst.global" + type(sizeof(D)) + " [%d0], %x;";
    ASSERT_EQ(runner.runBody(body), "") << instruction;
    const auto found = runner.read<D>(out, lanes);
    for (int i = 0; i < lanes; ++i) {
      const D expected = guarded && (i & 5) == 4 ? before[i] : meaning(a[i], b[i], c[i]);
      bool same = std::memcmp(&expected, &found[i], sizeof(D)) == 0;
      if constexpr (std::is_floating_point_v<D>) {
        same |= std::isnan(expected) && std::isnan(found[i]);
        if (!exact && !same)
          same = std::abs(found[i] - expected) <= std::abs(expected) * D(1e-6) + D(1e-37);
      }
      EXPECT_TRUE(same) << instruction << " lane " << i << ": a " << +a[i] << " b " << +b[i] << " c " << +c[i]
                        << " expected " << +expected << " found " << +found[i];
      if (!same)
        return;
    }
  }
}

using u16 = uint16_t;
using u32 = uint32_t;
using u64 = uint64_t;
using s16 = int16_t;
using s32 = int32_t;
using s64 = int64_t;

TEST(EmulatorOpcodes, IntegerArithmetic) {
  check<u32, u32, u32, u32>("add.s32 %x, %a, %b", [](u32 a, u32 b, u32) { return a + b; });
  check<u16, u16, u16, u16>("add.u16 %x, %a, %b", [](u16 a, u16 b, u16) { return u16(a + b); });
  check<u64, u64, u64, u64>("sub.s64 %x, %a, %b", [](u64 a, u64 b, u64) { return a - b; });
  check<s32, s32, s32, s32>("add.sat.s32 %x, %a, %b", [](s32 a, s32 b, s32) {
    return s32(std::clamp<s64>(s64(a) + b, INT32_MIN, INT32_MAX));
  });
  check<u32, u32, u32, u32>("mul.lo.u32 %x, %a, %b", [](u32 a, u32 b, u32) { return a * b; });
  check<u32, u32, u32, u32>("mul.hi.u32 %x, %a, %b", [](u32 a, u32 b, u32) { return u32(u64(a) * b >> 32); });
  check<s32, s32, s32, s32>("mul.hi.s32 %x, %a, %b", [](s32 a, s32 b, s32) { return s32(s64(a) * b >> 32); });
  check<s64, s32, s32, s32>("mul.wide.s32 %x, %a, %b", [](s32 a, s32 b, s32) { return s64(a) * b; });
  check<u32, u16, u16, u16>("mul.wide.u16 %x, %a, %b", [](u16 a, u16 b, u16) { return u32(a) * b; });
  check<s64, s64, s64, s64>("mul.hi.s64 %x, %a, %b",
                            [](s64 a, s64 b, s64) { return s64(__int128(a) * b >> 64); });
  check<u32, u32, u32, u32>("mad.lo.s32 %x, %a, %b, %c", [](u32 a, u32 b, u32 c) { return a * b + c; });
  check<u64, u32, u32, u64>("mad.wide.u32 %x, %a, %b, %c",
                            [](u32 a, u32 b, u64 c) { return u64(a) * b + c; });
  check<u32, u32, u32, u32>("mad24.lo.u32 %x, %a, %b, %c",
                            [](u32 a, u32 b, u32 c) { return u32(u64(a & 0xffffff) * (b & 0xffffff)) + c; });
  check<s32, s32, s32, s32>("div.s32 %x, %a, %b", [](s32 a, s32 b, s32) {
    return b == 0 ? -1 : b == -1 ? s32(0 - u32(a)) : a / b;
  });
  check<u32, u32, u32, u32>("rem.u32 %x, %a, %b", [](u32 a, u32 b, u32) { return b == 0 ? a : a % b; });
  check<s32, s32, s32, s32>("min.s32 %x, %a, %b", [](s32 a, s32 b, s32) { return std::min(a, b); });
  check<u64, u64, u64, u64>("max.u64 %x, %a, %b", [](u64 a, u64 b, u64) { return std::max(a, b); });
  check<u32, u32, u32, u32>("abs.s32 %x, %a", [](u32 a, u32, u32) { return s32(a) < 0 ? 0 - a : a; });
  check<u32, u32, u32, u32>("neg.s32 %x, %a", [](u32 a, u32, u32) { return 0 - a; });
  check<u32, s32, s32, u32>("sad.s32 %x, %a, %b, %c", [](s32 a, s32 b, u32 c) {
    return c + (a > b ? u32(a) - u32(b) : u32(b) - u32(a));
  });
  check<u32, u32, u32, u32>("{ .reg .b32 t; add.cc.u32 t, %a, %b; addc.u32 %x, %c, 0; }",
                            [](u32 a, u32 b, u32 c) { return c + u32(u64(a) + b >> 32); });
  check<u32, u32, u32, u32>("{ .reg .b32 t; sub.cc.u32 t, %a, %b; subc.u32 %x, %c, 0; }",
                            [](u32 a, u32 b, u32 c) { return c - (a < b); });
  check<s32, u32, u32, s32>("dp4a.s32.s32 %x, %a, %b, %c", [](u32 a, u32 b, s32 c) {
    u32 sum = u32(c);
    for (int i = 0; i < 4; ++i)
      sum += u32(int8_t(a >> 8 * i) * int8_t(b >> 8 * i));
    return s32(sum);
  });
}

TEST(EmulatorOpcodes, LogicShiftsAndFields) {
  check<u32, u32, u32, u32>("and.b32 %x, %a, %b", [](u32 a, u32 b, u32) { return a & b; });
  check<u64, u64, u64, u64>("or.b64 %x, %a, %b", [](u64 a, u64 b, u64) { return a | b; });
  check<u16, u16, u16, u16>("xor.b16 %x, %a, %b", [](u16 a, u16 b, u16) { return u16(a ^ b); });
  check<u32, u32, u32, u32>("not.b32 %x, %a", [](u32 a, u32, u32) { return ~a; });
  check<u32, u32, u32, u32>("lop3.b32 %x, %a, %b, %c, 0x6A", [](u32 a, u32 b, u32 c) { return (a & b) ^ c; });
  check<u32, u32, u32, u32>("lop3.b32 %x, %a, %b, %c, 0xE4",
                            [](u32 a, u32 b, u32 c) { return (a & c) | (b & ~c); });
  check<u32, u32, u32, u32>("shl.b32 %x, %a, %b", [](u32 a, u32 b, u32) { return b > 31 ? 0 : a << b; });
  check<s32, s32, u32, u32>("shr.s32 %x, %a, %b", [](s32 a, u32 b, u32) { return a >> (b > 31 ? 31 : b); });
  check<u64, u64, u32, u32>("shr.u64 %x, %a, %b", [](u64 a, u32 b, u32) { return b > 63 ? 0 : a >> b; });
  check<u32, u32, u32, u32>("shf.l.wrap.b32 %x, %a, %b, %c",
                            [](u32 a, u32 b, u32 c) { return u32(((u64(b) << 32 | a) << (c & 31)) >> 32); });
  check<u32, u32, u32, u32>("shf.r.clamp.b32 %x, %a, %b, %c",
                            [](u32 a, u32 b, u32 c) { return u32((u64(b) << 32 | a) >> (c > 32 ? 32 : c)); });
  check<u32, u32, u32, u32>("prmt.b32 %x, %a, %b, 0x5410",
                            [](u32 a, u32 b, u32) { return (a & 0xffff) | b << 16; });
  check<u32, u32, u32, u32>("prmt.b32 %x, %a, %b, 0x3B21", [](u32 a, u32, u32) {
    return (a >> 8 & 0xff) | (a >> 16 & 0xff) << 8 | (a >> 31 ? 0xff0000u : 0) | (a >> 24) << 24;
  });
  check<u32, u64, u32, u32>("popc.b64 %x, %a", [](u64 a, u32, u32) { return u32(std::popcount(a)); });
  check<u32, u32, u32, u32>("clz.b32 %x, %a", [](u32 a, u32, u32) { return u32(std::countl_zero(a)); });
  check<u32, s32, u32, u32>("bfind.s32 %x, %a", [](s32 a, u32, u32) {
    const u32 m = a < 0 ? ~u32(a) : u32(a);
    return m ? 31 - u32(std::countl_zero(m)) : ~0u;
  });
  check<u32, u32, u32, u32>("brev.b32 %x, %a", [](u32 a, u32, u32) {
    u32 r = 0;
    for (int i = 0; i < 32; ++i)
      r |= (a >> i & 1) << (31 - i);
    return r;
  });
  check<u32, u32, u32, u32>("bfe.u32 %x, %a, 7, 11", [](u32 a, u32, u32) { return a >> 7 & 0x7ff; });
  check<s32, s32, u32, u32>("bfe.s32 %x, %a, 20, 12", [](s32 a, u32, u32) { return a >> 20; });
  check<u32, u32, u32, u32>("bfi.b32 %x, %a, %b, 8, 4",
                            [](u32 a, u32 b, u32) { return (b & ~0xf00u) | (a & 15) << 8; });
}

TEST(EmulatorOpcodes, FloatingPoint) {
  check<float, float, float, float>("add.f32 %x, %a, %b", [](float a, float b, float) { return a + b; });
  check<float, float, float, float>("mul.rn.ftz.f32 %x, %a, %b", [](float a, float b, float) {
    const float r = a * b;
    return std::fabs(r) < std::numeric_limits<float>::min() ? std::copysign(0.f, r) : r;
  });
  check<float, float, float, float>("fma.rn.f32 %x, %a, %b, %c",
                                    [](float a, float b, float c) { return std::fma(a, b, c); });
  check<double, double, double, double>("fma.rn.f64 %x, %a, %b, %c",
                                        [](double a, double b, double c) { return std::fma(a, b, c); });
  check<float, float, float, float>("add.sat.f32 %x, %a, %b", [](float a, float b, float) {
    const float s = a + b;
    return s > 0 ? std::min(s, 1.f) : 0.f;
  });
  check<float, float, float, float>("add.rz.f32 %x, %a, %b", [](float a, float b, float) {
    const double sum = double(a) + b, part = sum - a,
                 rest = (a - (sum - part)) + (b - part); // sum + rest is exact
    const float nearest = float(sum);
    if (!std::isfinite(sum) || !std::isfinite(rest))
      return nearest;
    const double beyond = (double(nearest) - sum) - rest;
    return (nearest > 0 && beyond > 0) || (nearest < 0 && beyond < 0) ? std::nextafter(nearest, 0.f)
                                                                      : nearest;
  });
  check<float, float, float, float>("div.rn.f32 %x, %a, %b", [](float a, float b, float) { return a / b; });
  check<float, float, float, float>("min.f32 %x, %a, %b", [](float a, float b, float) {
    return a < b || (a == b && std::signbit(a)) ? a : b;
  });
  check<float, float, float, float>("neg.f32 %x, %a", [](float a, float, float) { return -a; });
  check<float, float, float, float>("copysign.f32 %x, %a, %b",
                                    [](float a, float b, float) { return std::copysign(b, a); });
  check<float, float, float, float>("sqrt.rn.f32 %x, %a", [](float a, float, float) { return std::sqrt(a); });
  check<float, float, float, float>(
      "ex2.approx.f32 %x, %a", [](float a, float, float) { return std::exp2(a); }, false);
  check<float, float, float, float>(
      "rcp.approx.ftz.f32 %x, %a",
      [](float a, float, float) {
        const float r = 1 / a;
        return std::fabs(r) < 1.2e-38f ? std::copysign(0.f, r) : r;
      },
      false);
  check<u16, u16, u16, u16>("fma.rn.f16 %x, %a, %b, %c", [](u16 a, u16 b, u16 c) {
    return floatToHalf(double(halfToFloat(a)) * halfToFloat(b) + halfToFloat(c));
  });
  check<u32, u32, u32, u32>("add.bf16x2 %x, %a, %b", [](u32 a, u32 b, u32) {
    const auto add = [](u32 x, u32 y) {
      return u32(floatToBfloat(bfloatToFloat(u16(x)) + bfloatToFloat(u16(y))));
    };
    return add(a, b) | add(a >> 16, b >> 16) << 16;
  });
}

TEST(EmulatorOpcodes, ComparisonsAndSelections) {
  check<u32, s32, s32, u32>("{ .reg .pred p; setp.lt.s32 p, %a, %b; selp.b32 %x, 7, %c, p; }",
                            [](s32 a, s32 b, u32 c) { return a < b ? 7 : c; });
  check<u32, u32, u32, u32>("{ .reg .pred p; setp.hi.u32 p, %a, %b; selp.b32 %x, 7, %c, p; }",
                            [](u32 a, u32 b, u32 c) { return a > b ? 7 : c; });
  check<u32, float, float, u32>("{ .reg .pred p; setp.geu.f32 p, %a, %b; selp.b32 %x, 7, %c, p; }",
                                [](float a, float b, u32 c) { return !(a < b) ? 7 : c; });
  check<u32, u32, u32, u32>(
      "{ .reg .pred p, q, r; setp.eq.u32 r, %c, 0; setp.ne.or.u32 p|q, %a, %b, r; selp.b32 %x, 1, 0, p; @q "
      "add.u32 %x, %x, 2; }",
      [](u32 a, u32 b, u32 c) { return u32(a != b || c == 0) + 2 * u32(a == b || c == 0); });
  check<u32, float, float, u32>("set.le.u32.f32 %x, %a, %b",
                                [](float a, float b, u32) { return a <= b ? ~0u : 0; });
}

TEST(EmulatorOpcodes, Conversions) {
  check<s32, float, float, float>("cvt.rzi.s32.f32 %x, %a", [](float a, float, float) {
    return a >= 2147483648.f ? INT32_MAX : a < -2147483648.f ? INT32_MIN : s32(a);
  });
  check<s32, float, float, float>("cvt.rni.s32.f32 %x, %a", [](float a, float, float) {
    return a >= 2147483648.f ? INT32_MAX : a < -2147483648.f ? INT32_MIN : s32(std::nearbyint(a));
  });
  check<float, s32, s32, s32>("cvt.rn.f32.s32 %x, %a", [](s32 a, s32, s32) { return float(a); });
  check<float, u64, u64, u64>("cvt.rn.f32.u64 %x, %a", [](u64 a, u64, u64) { return float(a); });
  check<s64, s32, s32, s32>("cvt.s64.s32 %x, %a", [](s32 a, s32, s32) { return s64(a); });
  check<u32, u32, u32, u32>("cvt.s32.s8 %x, %a", [](u32 a, u32, u32) { return u32(s32(int8_t(a))); });
  check<u32, s32, u32, u32>("cvt.sat.u8.s32 %x, %a",
                            [](s32 a, u32, u32) { return u32(std::clamp(a, 0, 255)); });
  check<u16, float, float, float>("cvt.rn.f16.f32 %x, %a",
                                  [](float a, float, float) { return floatToHalf(a); });
  check<float, u16, u16, u16>("cvt.f32.bf16 %x, %a", [](u16 a, u16, u16) { return bfloatToFloat(a); });
  check<u32, float, float, float>("cvt.rn.bf16x2.f32 %x, %a, %b", [](float a, float b, float) {
    return u32(floatToBfloat(a)) << 16 | floatToBfloat(b);
  });
  check<u16, float, float, float>("cvt.rn.satfinite.e4m3x2.f32 %x, %a, %b", [](float a, float b, float) {
    return u16(floatToE4m3(a) << 8 | floatToE4m3(b));
  });
  check<u32, float, float, float>("cvt.rna.tf32.f32 %x, %a",
                                  [](float a, float, float) { return floatToTf32(a, Rounding::away); });
  check<float, float, float, float>("cvt.rmi.f32.f32 %x, %a",
                                    [](float a, float, float) { return std::floor(a); });
}

TEST(EmulatorOpcodes, NarrowFormatsRoundTrip) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const float half = halfToFloat(static_cast<uint16_t>(bits)),
                bfloat = bfloatToFloat(static_cast<uint16_t>(bits));
    if (!std::isnan(half)) {
      ASSERT_EQ(floatToHalf(half), bits);
      ASSERT_EQ(nearestHalf(half), bits);
    }
    if (!std::isnan(bfloat))
      ASSERT_EQ(floatToBfloat(bfloat), bits);
  }
  for (uint32_t bits = 0; bits < 256; ++bits) {
    if (!std::isnan(e4m3ToFloat(static_cast<uint8_t>(bits))))
      ASSERT_EQ(floatToE4m3(e4m3ToFloat(static_cast<uint8_t>(bits))), bits);
    if (std::isfinite(e5m2ToFloat(static_cast<uint8_t>(bits))))
      ASSERT_EQ(floatToE5m2(e5m2ToFloat(static_cast<uint8_t>(bits))), bits);
  }
  EXPECT_EQ(e4m3ToFloat(0x7e), 448.0f);
  EXPECT_EQ(floatToE4m3(1e9), 0x7e);
}

} // namespace
} // namespace sinter::emulator
