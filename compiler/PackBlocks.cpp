// SPDX-License-Identifier: Apache-2.0
// One function a format of ggml.
#include "compiler/PackBlocks.h"

#include <cstring>

using sinter::kernel::WeightFormat;

namespace sinter {
namespace {

uint16_t half(const uint8_t *from) { return static_cast<uint16_t>(from[0] | from[1] << 8); }

/// 16 bytes: numbers 0 to 15 in the low halves, 16 to 31 in the high ones.
void nibbles(const uint8_t *from, uint8_t *to) {
  for (int i = 0; i < 16; ++i) {
    to[i] = from[i] & 15;
    to[16 + i] = from[i] >> 4;
  }
}

/// The fifth bits of 32 numbers, in a little-endian word.
void fifthBits(const uint8_t *from, uint8_t *to) {
  for (int i = 0; i < 32; ++i)
    to[i] |= (from[i / 8] >> (i % 8) & 1) << 4;
}

/// 12 bytes: eight scales and eight minima of 6 bits (get_scale_min_k4).
void sixBitScales(const uint8_t *from, uint8_t *scales, uint8_t *minima) {
  for (int i = 0; i < 4; ++i) {
    scales[i] = from[i] & 63;
    minima[i] = from[i + 4] & 63;
    scales[i + 4] = (from[i + 8] & 15) | (from[i] >> 6) << 4;
    minima[i + 4] = from[i + 8] >> 4 | (from[i + 4] >> 6) << 4;
  }
}

void unpackQ2K(const uint8_t *from, RawBlock &to) {
  std::memcpy(to.scales, from, 16);
  for (int i = 0; i < 256; ++i)
    to.integers[i] = from[16 + i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
  to.scale = half(from + 80);
  to.minimum = half(from + 82);
}

void unpackQ3K(const uint8_t *from, RawBlock &to) {
  const uint8_t *high = from, *low = from + 32, *scales = from + 96;
  for (int i = 0; i < 256; ++i)
    to.integers[i] = (low[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) | (high[i % 32] >> (i / 32) & 1)
                                                                                  << 2;
  for (int i = 0; i < 16; ++i) {
    int lowBits = i < 8 ? scales[i] & 15 : scales[i - 8] >> 4;
    int highBits = scales[8 + i % 4] >> (i / 4 * 2) & 3;
    to.scales[i] = static_cast<uint8_t>((lowBits | highBits << 4) - 32);
  }
  to.scale = half(from + 108);
}

/// Q4_K and Q5_K: 64 numbers in 32 bytes, the first half in the low bits.
void fourBits(const uint8_t *from, uint8_t *to) {
  for (int group = 0; group < 4; ++group)
    for (int i = 0; i < 32; ++i) {
      to[group * 64 + i] = from[group * 32 + i] & 15;
      to[group * 64 + 32 + i] = from[group * 32 + i] >> 4;
    }
}

void unpackQ4K(const uint8_t *from, RawBlock &to) {
  to.scale = half(from);
  to.minimum = half(from + 2);
  sixBitScales(from + 4, to.scales, to.minima);
  fourBits(from + 16, to.integers);
}

void unpackQ5K(const uint8_t *from, RawBlock &to) {
  to.scale = half(from);
  to.minimum = half(from + 2);
  sixBitScales(from + 4, to.scales, to.minima);
  fourBits(from + 48, to.integers);
  for (int block = 0; block < 8; ++block)
    for (int i = 0; i < 32; ++i)
      to.integers[block * 32 + i] |= (from[16 + i] >> block & 1) << 4;
}

void unpackQ6K(const uint8_t *from, RawBlock &to) {
  const uint8_t *low = from, *high = from + 128;
  uint8_t *out = to.integers;
  for (int group = 0; group < 2; ++group, low += 64, high += 32)
    for (int quarter = 0; quarter < 4; ++quarter, out += 32)
      for (int i = 0; i < 32; ++i) {
        uint8_t l = low[quarter % 2 * 32 + i] >> (quarter / 2 * 4) & 15, h = high[i] >> (quarter * 2) & 3;
        out[i] = static_cast<uint8_t>(l | h << 4);
      }
  std::memcpy(to.scales, from + 192, 16);
  to.scale = half(from + 208);
}

} // namespace

int64_t ggmlBlockBytes(WeightFormat format) {
  switch (format) {
  case WeightFormat::Q8_0:
    return 34;
  case WeightFormat::Q4_0:
    return 18;
  case WeightFormat::Q4_1:
    return 20;
  case WeightFormat::Q5_0:
    return 22;
  case WeightFormat::Q5_1:
    return 24;
  case WeightFormat::Q2_K:
    return 84;
  case WeightFormat::Q3_K:
    return 110;
  case WeightFormat::Q4_K:
    return 144;
  case WeightFormat::Q5_K:
    return 176;
  case WeightFormat::Q6_K:
    return 210;
  default:
    assert(false && "floats have no blocks");
    return 0;
  }
}

void unpackBlock(WeightFormat format, const std::byte *bytes, RawBlock &to) {
  auto *from = reinterpret_cast<const uint8_t *>(bytes);
  switch (format) {
  case WeightFormat::Q8_0:
    to.scale = half(from);
    std::memcpy(to.integers, from + 2, 32);
    return;
  case WeightFormat::Q4_0:
    to.scale = half(from);
    return nibbles(from + 2, to.integers);
  case WeightFormat::Q4_1:
    to.scale = half(from);
    to.minimum = half(from + 2);
    return nibbles(from + 4, to.integers);
  case WeightFormat::Q5_0:
    to.scale = half(from);
    nibbles(from + 6, to.integers);
    return fifthBits(from + 2, to.integers);
  case WeightFormat::Q5_1:
    to.scale = half(from);
    to.minimum = half(from + 2);
    nibbles(from + 8, to.integers);
    return fifthBits(from + 4, to.integers);
  case WeightFormat::Q2_K:
    return unpackQ2K(from, to);
  case WeightFormat::Q3_K:
    return unpackQ3K(from, to);
  case WeightFormat::Q4_K:
    return unpackQ4K(from, to);
  case WeightFormat::Q5_K:
    return unpackQ5K(from, to);
  case WeightFormat::Q6_K:
    return unpackQ6K(from, to);
  default:
    assert(false && "floats have no blocks");
  }
}

} // namespace sinter
