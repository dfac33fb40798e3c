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

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_BLOCKCODECS_H
