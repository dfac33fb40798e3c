// SPDX-License-Identifier: Apache-2.0
// Makes a kernel of each case, numbers that find mistakes, and the formats.
#include "test/runtime/device/emulator/OpcodeFuzz.h"

#include "test/runtime/device/emulator/PtxRunner.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <random>

namespace sinter::emulator {
namespace {

constexpr int threads = 256;

template <typename T, size_t n> T oneOf(const T (&values)[n], std::mt19937_64 &random) {
  return values[random() % n];
}

u64 sampleFloat(std::mt19937_64 &random, int exponentBits, int mantissaBits) {
  const u64 mantissa = random() & ((u64(1) << mantissaBits) - 1),
            sign = (random() & 1) << (exponentBits + mantissaBits), top = (u64(1) << exponentBits) - 1,
            bias = top / 2;
  const auto make = [&](u64 exponent, u64 fraction) { return sign | exponent << mantissaBits | fraction; };
  switch (random() % 10) {
  case 0:
    return make(0, 0);
  case 1: // subnormal
    return make(0, random() % 2 ? mantissa : mantissa >> random() % mantissaBits);
  case 2:
    return make(top, random() % 3 ? 0 : mantissa); // infinity, or NaN
  case 3:                                          // whole numbers and halves
    return make(std::min(bias + random() % (mantissaBits + 1), top - 1),
                mantissa & ~((u64(1) << random() % mantissaBits) - 1));
  case 4:
    return make(top - 1 - random() % 2, mantissa); // large
  case 5:
    return make(1 + random() % 2, mantissa); // small
  case 6:
  case 7:
    return make(random() % top, mantissa);
  default: // near 1
    return make(bias - 4 + random() % 9, mantissa);
  }
}

u64 sample(std::mt19937_64 &random, Content content) {
  const int bits = bitsOf(content);
  switch (content) {
  case Content::f16:
    return sampleFloat(random, 5, 10);
  case Content::bf16:
    return sampleFloat(random, 8, 7);
  case Content::f32:
  case Content::tf32:
    return sampleFloat(random, 8, 23);
  case Content::f64:
    return sampleFloat(random, 11, 52);
  case Content::f16x2:
    return sampleFloat(random, 5, 10) << 16 | sampleFloat(random, 5, 10);
  case Content::bf16x2:
    return sampleFloat(random, 8, 7) << 16 | sampleFloat(random, 8, 7);
  case Content::e4m3x2:
  case Content::e5m2x2:
    return random() & 0xffff;
  case Content::shift: {
    static constexpr u64 counts[] = {0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 0xffffffff};
    return random() % 3 ? random() % 70 : oneOf(counts, random);
  }
  case Content::byteIndex:
    return random() % 2 ? random() & 0xffff : random() & 0xffffffff;
  default: {
    const u64 all = cut(-1, bits), sign = u64(1) << (bits - 1);
    const u64 edges[] = {
        0, 1, 2, 3, 5, all, all - 1, sign, sign - 1, sign + 1, all >> (bits / 2), sign >> (bits / 2)};
    if (random() % 3 == 0)
      return oneOf(edges, random);
    return random() % 2 ? cut(random(), bits) : cut(random() >> random() % 64, bits);
  }
  }
}

bool isNan(Content content, u64 bits) {
  switch (content) {
  case Content::f16:
    return std::isnan(halfFormat().value(bits));
  case Content::bf16:
    return std::isnan(bfloatFormat().value(bits));
  case Content::f32:
  case Content::tf32:
    return std::isnan(asFloat(bits));
  case Content::f64:
    return std::isnan(asDouble(bits));
  default:
    return false;
  }
}

double numberOf(Content content, u64 bits) {
  switch (content) {
  case Content::f16:
    return halfFormat().value(bits);
  case Content::bf16:
    return bfloatFormat().value(bits);
  case Content::f32:
    return asFloat(bits);
  default:
    return asDouble(bits);
  }
}

bool agree(Content content, u64 expected, u64 found, double relative) {
  if (expected == found)
    return true;
  if (content == Content::f16x2 || content == Content::bf16x2) {
    const Content half = content == Content::f16x2 ? Content::f16 : Content::bf16;
    return agree(half, expected & 0xffff, found & 0xffff, relative) &&
           agree(half, expected >> 16, found >> 16, relative);
  }
  if (isNan(content, expected) && isNan(content, found))
    return true;
  if (relative == 0)
    return false;
  const double e = numberOf(content, expected), f = numberOf(content, found);
  return std::fabs(e - f) <= relative * std::fabs(e) + 1e-37;
}

void runCase(const OpcodeCase &each, std::mt19937_64 &random, bool guarded) {
  PtxRunner runner;
  std::vector<u64> before(threads), values[4];
  for (u64 &value : before)
    value = cut(random(), bitsOf(each.result));
  for (size_t i = 0; i < each.operands.size(); ++i)
    for (int thread = 0; thread < threads; ++thread)
      values[i].push_back(sample(random, each.operands[i]));
  if (each.operands.size() > 1) // equal operands find what comparisons get wrong
    for (int thread = 0; thread < threads; thread += 7)
      if (each.operands[0] == each.operands[1])
        values[1][static_cast<size_t>(thread)] = values[0][static_cast<size_t>(thread)];
  const u64 out = runner.buffer(before);
  runner.block = {threads, 1, 1};
  static const char *const names[] = {"%x", "%a", "%b", "%c", "%e"};
  std::string body = "mov.u32 %r50, %tid.x;\n";
  for (size_t i = 0; i <= each.operands.size(); ++i) {
    if (i)
      runner.buffer(values[i - 1]);
    const std::string n = std::to_string(i),
                      type = ".b" + std::to_string(bitsOf(i ? each.operands[i - 1] : each.result));
    body += ".reg " + type + " " + names[i] + ";\nld.param.u64 %d" + n + ", [p" + n + "];\nmad.wide.u32 %d" +
            n + ", %r50, 8, %d" + n + ";\nld.global" + type + " " + names[i] + ", [%d" + n + "];\n";
  }
  body += "and.b32 %r51, %r50, 5; setp.eq.u32 %p1, %r51, 4;\n" + std::string(guarded ? "@!%p1 " : "") +
          each.text + ";\nst.global.b" + std::to_string(bitsOf(each.result)) + " [%d0], %x;";
  const std::string error = runner.runBody(body);
  ASSERT_EQ(error, "") << each.text;
  const std::vector<u64> found = runner.read<u64>(out, threads);
  for (size_t thread = 0; thread < threads; ++thread) {
    std::array<u64, 4> operands{};
    for (size_t i = 0; i < each.operands.size(); ++i)
      operands[i] = values[i][thread];
    const bool skipped = guarded && (thread & 5) == 4;
    const u64 expected = skipped ? before[thread] : cut(each.meaning(operands), bitsOf(each.result)),
              result = cut(found[thread], bitsOf(each.result));
    ASSERT_TRUE(agree(each.result, expected, result, each.relative))
        << each.text << std::hex << " thread " << thread << ": a 0x" << operands[0] << " b 0x" << operands[1]
        << " c 0x" << operands[2] << " e 0x" << operands[3] << " expected 0x" << expected << " found 0x"
        << result;
  }
}

} // namespace

int bitsOf(Content content) {
  switch (content) {
  case Content::i64:
  case Content::f64:
    return 64;
  case Content::i16:
  case Content::f16:
  case Content::bf16:
  case Content::e4m3x2:
  case Content::e5m2x2:
    return 16;
  default:
    return 32;
  }
}

void OpcodeTable::run() const {
  const char *asked = std::getenv("SINTER_FUZZ_SECONDS");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(asked ? std::atoi(asked) : 0);
  uint64_t seed = 1;
  do {
    std::mt19937_64 random(seed++);
    for (const OpcodeCase &each : cases) {
      runCase(each, random, false);
      if (each.text[0] != '{')
        runCase(each, random, true);
    }
  } while (std::chrono::steady_clock::now() < end && !testing::Test::HasFailure());
}

NarrowFormat::NarrowFormat(int exponentBits, int mantissaBits, bool hasInfinity)
    : exponent(exponentBits), mantissa(mantissaBits), hasInfinity(hasInfinity) {
  const u32 codes = 1u << (exponent + mantissa), topExponent = (1u << exponent) - 1;
  nanBits = codes - 1;
  for (u32 code = 0; code < codes; ++code) {
    const int field = static_cast<int>(code >> mantissa), bias = (1 << (exponent - 1)) - 1;
    const u32 fraction = code & ((1u << mantissa) - 1);
    if ((hasInfinity && static_cast<u32>(field) == topExponent) || (!hasInfinity && code == nanBits))
      break;
    numbers.push_back(field ? std::ldexp(double((1u << mantissa) + fraction), field - bias - mantissa)
                            : std::ldexp(double(fraction), 1 - bias - mantissa));
  }
  largest = static_cast<u32>(numbers.size()) - 1;
}

double NarrowFormat::value(u64 code) const {
  const u32 magnitude = static_cast<u32>(code) & ((1u << (exponent + mantissa)) - 1);
  const double sign = code >> (exponent + mantissa) & 1 ? -1 : 1;
  if (magnitude < numbers.size())
    return sign * numbers[magnitude];
  return hasInfinity && magnitude == numbers.size() ? sign * INFINITY : NAN;
}

u32 NarrowFormat::round(__float128 value, To to, bool saturates, double lost) const {
  if (value != value)
    return nanBits;
  const bool negative = value < 0 || (value == 0 && std::signbit(static_cast<double>(value)));
  const u32 sign = static_cast<u32>(negative) << (exponent + mantissa);
  const __float128 magnitude = negative ? -value : value;
  const double more = negative ? -lost : lost; // beyond the magnitude
  const bool outwards = (to == To::up && !negative) || (to == To::down && negative);
  const bool inwards = to == To::zero || (to == To::up && negative) || (to == To::down && !negative);
  const u32 tooLarge = saturates ? largest : hasInfinity ? largest + 1 : nanBits;
  if (magnitude > __float128(1e300) * __float128(1e300))
    return sign | tooLarge; // infinity
  // The last number that is not above the magnitude, and the next.
  auto after = std::upper_bound(numbers.begin(), numbers.end(), magnitude,
                                [](__float128 v, double number) { return v < __float128(number); });
  u32 low = static_cast<u32>(after - numbers.begin()) - 1;
  if (__float128(numbers[low]) == magnitude && more < 0 && low > 0)
    --low;
  const bool exact = __float128(numbers[low]) == magnitude && more == 0;
  u32 chosen = low;
  if (!exact) {
    // Above the largest, the next number is where the exponent would go on.
    const double next = low < largest ? numbers[low + 1] : 2 * numbers[low] - numbers[low - 1];
    const __float128 twice = 2 * magnitude, middle = __float128(numbers[low]) + next;
    const int side = twice > middle ? 1 : twice < middle ? -1 : more > 0 ? 1 : more < 0 ? -1 : 0;
    const bool nearestUp = side > 0 || (side == 0 && (to == To::away || low & 1));
    chosen += inwards ? 0 : outwards ? 1 : nearestUp;
    if (low == largest && magnitude >= __float128(next))
      chosen = inwards ? low : low + 1;
  }
  return sign | (chosen > largest ? tooLarge : chosen);
}

const NarrowFormat &halfFormat() {
  static const NarrowFormat format(5, 10, true);
  return format;
}
const NarrowFormat &bfloatFormat() {
  static const NarrowFormat format(8, 7, true);
  return format;
}
const NarrowFormat &e4m3Format() {
  static const NarrowFormat format(4, 3, false);
  return format;
}
const NarrowFormat &e5m2Format() {
  static const NarrowFormat format(5, 2, true);
  return format;
}
const NarrowFormat &tf32Format() {
  static const NarrowFormat format(8, 10, true);
  return format;
}

std::function<u64(const std::array<u64, 4> &)> packed(std::function<u64(const std::array<u64, 4> &)> one) {
  return [one = std::move(one)](const std::array<u64, 4> &v) {
    std::array<u64, 4> low, high;
    for (size_t i = 0; i < 4; ++i)
      low[i] = v[i] & 0xffff, high[i] = v[i] >> 16 & 0xffff;
    return (one(low) & 0xffff) | (one(high) & 0xffff) << 16;
  };
}

} // namespace sinter::emulator
