// SPDX-License-Identifier: Apache-2.0
// The narrow floating-point formats of PTX ISA 5.2.3, as bits, and their conversion from and to float: f16
// and bf16 with every rounding, tf32, e4m3 and e5m2 (OCP FP8) with saturation.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_FLOATS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_FLOATS_H

#include <bit>
#include <cmath>
#include <cstdint>

namespace sinter::emulator {

enum class Rounding : uint8_t { nearest, zero, down, up, away /* nearest, ties away from zero: .rna */ };

/// What a format with `mantissa` stored bits and `exponent` bits of exponent makes of `value` (a double holds
/// every source exactly, so there is one rounding). Overflow gives infinity, or the largest number when
/// rounding forbids it.
template <int exponent, int mantissa, bool hasInfinity = true>
inline uint32_t encodeFloat(double value, Rounding rounding, bool saturate = false) {
  constexpr int bias = (1 << (exponent - 1)) - 1;
  constexpr uint32_t infinity = ((1u << exponent) - 1) << mantissa;
  // Without infinity (e4m3) the top exponent holds numbers, and its last mantissa alone is NaN.
  constexpr uint32_t largest = hasInfinity ? infinity - 1 : infinity | ((1u << mantissa) - 2);
  constexpr uint32_t nan =
      hasInfinity ? infinity | ((1u << mantissa) - 1) : infinity | ((1u << mantissa) - 1);
  constexpr int signBit = exponent + mantissa;
  if (std::isnan(value))
    return nan;
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const uint32_t sign = static_cast<uint32_t>(bits >> 63) << signBit;
  const bool negative = bits >> 63;
  const auto overflow = [&]() -> uint32_t {
    const bool inward = rounding == Rounding::zero || (rounding == Rounding::down && !negative) ||
                        (rounding == Rounding::up && negative);
    if (saturate || (inward && !std::isinf(value)))
      return sign | largest;
    return sign | (hasInfinity ? infinity : nan);
  };
  if (std::isinf(value))
    return overflow();
  if (value == 0)
    return sign;
  int power = static_cast<int>(bits >> 52 & 0x7ff) - 1023;
  uint64_t fraction = (bits & ((1ull << 52) - 1)) | 1ull << 52;
  if (power == -1023) { // a subnormal double is below half of every format's smallest number
    power = -1022;
    fraction &= (1ull << 52) - 1;
  }
  int shift = 52 - mantissa;
  int biased = power + bias;
  if (biased < 1) { // subnormal in the target
    shift += 1 - biased;
    biased = 0;
  }
  uint64_t kept = shift > 63 ? 0 : fraction >> shift;
  const uint64_t rest = shift > 63 ? fraction : fraction & ((1ull << shift) - 1);
  const uint64_t half = shift > 63 ? ~0ull : 1ull << (shift - 1);
  bool increment = false;
  switch (rounding) {
  case Rounding::nearest:
    increment = rest > half || (rest == half && (kept & 1));
    break;
  case Rounding::away:
    increment = rest >= half;
    break;
  case Rounding::zero:
    break;
  case Rounding::down:
    increment = rest && negative;
    break;
  case Rounding::up:
    increment = rest && !negative;
    break;
  }
  kept += increment;
  // `kept` has its implicit bit (unless subnormal), so adding it to the exponent field carries by itself.
  const uint64_t magnitude = biased ? (static_cast<uint64_t>(biased - 1) << mantissa) + kept : kept;
  if (magnitude > largest)
    return overflow();
  return sign | static_cast<uint32_t>(magnitude);
}

template <int exponent, int mantissa, bool hasInfinity = true> inline float decodeFloat(uint32_t bits) {
  constexpr int bias = (1 << (exponent - 1)) - 1;
  const uint32_t fraction = bits & ((1u << mantissa) - 1);
  const uint32_t field = bits >> mantissa & ((1u << exponent) - 1);
  const float sign = bits >> (exponent + mantissa) & 1 ? -1.0f : 1.0f;
  if (field == (1u << exponent) - 1) {
    if (hasInfinity)
      return fraction ? std::bit_cast<float>(0x7fffffffu) : sign * INFINITY;
    if (fraction == (1u << mantissa) - 1)
      return std::bit_cast<float>(0x7fffffffu);
  }
  if (field == 0)
    return sign * std::ldexp(static_cast<float>(fraction), 1 - bias - mantissa);
  return sign *
         std::ldexp(static_cast<float>(fraction | 1u << mantissa), static_cast<int>(field) - bias - mantissa);
}

inline float halfToFloat(uint16_t bits) {
#ifdef __F16C__
  return __builtin_bit_cast(_Float16, bits);
#else
  return decodeFloat<5, 10>(bits);
#endif
}
inline uint16_t floatToHalf(double value, Rounding rounding = Rounding::nearest, bool saturate = false) {
  return encodeFloat<5, 10>(value, rounding, saturate);
}
inline float bfloatToFloat(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }
inline uint16_t floatToBfloat(double value, Rounding rounding = Rounding::nearest, bool saturate = false) {
  return encodeFloat<8, 7>(value, rounding, saturate);
}
inline float e4m3ToFloat(uint8_t bits) { return decodeFloat<4, 3, false>(bits); }
inline float e5m2ToFloat(uint8_t bits) { return decodeFloat<5, 2>(bits); }
inline uint8_t floatToE4m3(double value) { return encodeFloat<4, 3, false>(value, Rounding::nearest, true); }
inline uint8_t floatToE5m2(double value) { return encodeFloat<5, 2>(value, Rounding::nearest, true); }

/// tf32 in a 32-bit register (PTX ISA 5.2.3): the low 13 bits are ignored by whoever reads it.
inline uint32_t floatToTf32(float value, Rounding rounding) {
  if (std::isnan(value))
    return 0x7fffffff;
  return encodeFloat<8, 10>(value, rounding) << 13;
}
inline float tf32ToFloat(uint32_t bits) { return std::bit_cast<float>(bits & 0xffffe000u); }

/// The nearest f16 and bf16, quickly: for loops over lanes.
inline uint16_t nearestHalf(float value) {
#ifdef __F16C__
  return std::isnan(value) ? 0x7fff : __builtin_bit_cast(uint16_t, static_cast<_Float16>(value));
#else
  return floatToHalf(value);
#endif
}
inline uint16_t nearestBfloat(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// A number of type f16 or bf16 that computes as the hardware does: in f32, then one rounding. (A product and
/// sum of two f16 or bf16 numbers is exact in double, so fused operations go through double.)
struct Half {
  uint16_t bits;
  Half() = default;
  explicit Half(float value) : bits(nearestHalf(value)) {}
  explicit Half(double value) : bits(floatToHalf(value)) {}
  explicit operator float() const { return halfToFloat(bits); }
};
struct Bfloat {
  uint16_t bits;
  Bfloat() = default;
  explicit Bfloat(float value) : bits(nearestBfloat(value)) {}
  explicit Bfloat(double value) : bits(floatToBfloat(value)) {}
  explicit operator float() const { return bfloatToFloat(bits); }
};

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_FLOATS_H
