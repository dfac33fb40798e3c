// SPDX-License-Identifier: Apache-2.0
// What the table of formats takes from the families' files, and the single numbers they share. Private to
// BlockFormats.cpp, FloatBlocks.cpp, SimpleBlocks.cpp and SuperBlocks.cpp, which are compiled for the oldest
// processor Sinter runs on (F16C) and without contraction of a * b + c, because ggml's files are rounded
// twice.
#ifndef SINTER_RUNTIME_FILES_BLOCKCODECS_H
#define SINTER_RUNTIME_FILES_BLOCKCODECS_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace sinter {

using BlockRow = std::span<const std::byte>;
using FloatRow = std::span<const float>;

void dequantizeF32(BlockRow row, float *out);
void dequantizeF16(BlockRow row, float *out);
void dequantizeBf16(BlockRow row, float *out);
void dequantizeE4m3(BlockRow row, float *out);
void dequantizeE5m2(BlockRow row, float *out);
void dequantizeQ4_0(BlockRow row, float *out);
void dequantizeQ4_1(BlockRow row, float *out);
void dequantizeQ5_0(BlockRow row, float *out);
void dequantizeQ5_1(BlockRow row, float *out);
void dequantizeQ8_0(BlockRow row, float *out);
void dequantizeQ2_K(BlockRow row, float *out);
void dequantizeQ3_K(BlockRow row, float *out);
void dequantizeQ4_K(BlockRow row, float *out);
void dequantizeQ5_K(BlockRow row, float *out);
void dequantizeQ6_K(BlockRow row, float *out);

void quantizeF32(FloatRow in, std::byte *out);
void quantizeF16(FloatRow in, std::byte *out);
void quantizeBf16(FloatRow in, std::byte *out);
void quantizeE4m3(FloatRow in, std::byte *out);
void quantizeE5m2(FloatRow in, std::byte *out);
void quantizeQ4_0(FloatRow in, std::byte *out);
void quantizeQ4_1(FloatRow in, std::byte *out);
void quantizeQ8_0(FloatRow in, std::byte *out);

static inline float decodeF16(uint16_t bits) { return static_cast<float>(std::bit_cast<_Float16>(bits)); }
static inline uint16_t encodeF16(float value) {
  return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
}
static inline float decodeBf16(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}
/// ggml_compute_fp32_to_bf16: nearest even, NaN made quiet.
static inline uint16_t encodeBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  bool isNan = (bits & 0x7FFFFFFF) > 0x7F800000;
  uint32_t rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>(isNan ? bits >> 16 | 64 : rounded);
}

/// The upper byte of f16.
static inline float decodeE5m2(uint8_t bits) { return decodeF16(static_cast<uint16_t>(bits << 8)); }
/// An exponent of f16 that is 8 too small; the last number of each sign is NaN.
static inline float decodeE4m3(uint8_t bits) {
  if ((bits & 0x7f) == 0x7f)
    return std::bit_cast<float>(0x7fc00000u);
  return decodeF16(static_cast<uint16_t>((bits & 0x80) << 8 | (bits & 0x7f) << 7)) * 256;
}

/// Nearest even, saturating. `largest`: the format's largest number, bits of f32.
template <int mantissa, int bias, uint32_t largest> static inline uint8_t encodeF8(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value), magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return 0x7f;
  magnitude = magnitude < largest ? magnitude : largest;
  constexpr int shift = 23 - mantissa;
  constexpr uint32_t leastNormal = static_cast<uint32_t>(128 - bias) << 23;
  // One whose last bit counts as much as that of subnormal numbers.
  constexpr uint32_t unit = static_cast<uint32_t>(127 + 24 - bias - mantissa) << 23;
  uint32_t code =
      magnitude < leastNormal
          ? std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + std::bit_cast<float>(unit)) - unit
          : ((magnitude + (1u << (shift - 1)) - 1 + (magnitude >> shift & 1)) >> shift) -
                (static_cast<uint32_t>(127 - bias) << mantissa);
  return static_cast<uint8_t>(code | (bits >> 24 & 0x80));
}
static inline uint8_t encodeE4m3(float value) { return encodeF8<3, 7, 0x43e00000>(value); }  // 448
static inline uint8_t encodeE5m2(float value) { return encodeF8<2, 15, 0x47600000>(value); } // 57344

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_BLOCKCODECS_H
