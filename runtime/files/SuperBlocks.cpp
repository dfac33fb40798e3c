// SPDX-License-Identifier: Apache-2.0
// Blocks of 256 numbers whose groups of 16 or 32 have small integer scales under one common scale: Q2_K to
// Q6_K. Arithmetic follows ggml-quants.c (dequantize_row_q*_K).
#include "runtime/files/BlockCodecs.h"

#include <cstring>

namespace sinter {
namespace {

constexpr int length = 256;

struct BlockQ2_K {
  uint8_t scales[16]; // of groups of 16: scale below, minimum above
  uint8_t quarters[64];
  uint16_t scale, minimum;
};
struct BlockQ3_K {
  uint8_t high[32]; // bit k of byte j: third bit of number j + 32 k, 1 means no 4 is subtracted
  uint8_t quarters[64];
  uint8_t scales[12]; // 16 of 6 bits
  uint16_t scale;
};
struct BlockQ4_K {
  uint16_t scale, minimum;
  uint8_t scales[12]; // 8 scales and 8 minima of 6 bits
  uint8_t low[128];
};
struct BlockQ5_K {
  uint16_t scale, minimum;
  uint8_t scales[12];
  uint8_t high[32]; // bit k of byte j: fifth bit of number j + 32 k
  uint8_t low[128];
};
struct BlockQ6_K {
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  uint16_t scale;
};
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144 &&
              sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210);

template <typename Block, typename Decode> void forEachBlock(BlockRow row, float *out, Decode decode) {
  for (size_t at = 0; at + sizeof(Block) <= row.size(); at += sizeof(Block), out += length) {
    Block block;
    std::memcpy(&block, row.data() + at, sizeof block);
    decode(block, out);
  }
}

/// Scale and minimum of group `i` of eight, packed as Q4_K and Q5_K do: the first four in six bits of bytes i
/// and i + 4, the others in four bits of byte i + 4 and the two upper bits of bytes i - 4 and i.
struct ScaleAndMinimum {
  float scale, minimum;
};
ScaleAndMinimum unpack(const uint8_t *packed, int i) {
  if (i < 4)
    return {static_cast<float>(packed[i] & 63), static_cast<float>(packed[i + 4] & 63)};
  return {static_cast<float>((packed[i + 4] & 15) | packed[i - 4] >> 6 << 4),
          static_cast<float>(packed[i + 4] >> 4 | packed[i] >> 6 << 4)};
}

} // namespace

void dequantizeQ2_K(BlockRow row, float *out) {
  forEachBlock<BlockQ2_K>(row, out, [](const BlockQ2_K &block, float *__restrict out) {
    float common = decodeF16(block.scale), commonMinimum = decodeF16(block.minimum);
    for (int group = 0; group < 16; ++group) {
      float scale = common * static_cast<float>(block.scales[group] & 15);
      float minimum = commonMinimum * static_cast<float>(block.scales[group] >> 4);
      const uint8_t *quarters = block.quarters + group / 8 * 32 + group % 2 * 16;
      int shift = group / 2 % 4 * 2;
      for (int i = 0; i < 16; ++i)
        out[group * 16 + i] = scale * static_cast<float>(quarters[i] >> shift & 3) - minimum;
    }
  });
}

void dequantizeQ3_K(BlockRow row, float *out) {
  forEachBlock<BlockQ3_K>(row, out, [](const BlockQ3_K &block, float *__restrict out) {
    float common = decodeF16(block.scale);
    for (int group = 0; group < 16; ++group) {
      int low = block.scales[group % 8] >> group / 8 * 4 & 15;
      int high = block.scales[8 + group % 4] >> group / 4 * 2 & 3;
      float scale = common * static_cast<float>((low | high << 4) - 32);
      const uint8_t *quarters = block.quarters + group / 8 * 32 + group % 2 * 16;
      const uint8_t *mask = block.high + group % 2 * 16;
      int shift = group / 2 % 4 * 2, bit = group / 2;
      for (int i = 0; i < 16; ++i) {
        int value = (quarters[i] >> shift & 3) - 4 + ((mask[i] >> bit & 1) << 2);
        out[group * 16 + i] = scale * static_cast<float>(value);
      }
    }
  });
}

void dequantizeQ4_K(BlockRow row, float *out) {
  forEachBlock<BlockQ4_K>(row, out, [](const BlockQ4_K &block, float *__restrict out) {
    float common = decodeF16(block.scale), commonMinimum = decodeF16(block.minimum);
    for (int group = 0; group < 8; ++group) {
      auto [factor, factorMinimum] = unpack(block.scales, group);
      float scale = common * factor, minimum = commonMinimum * factorMinimum;
      const uint8_t *low = block.low + group / 2 * 32;
      int shift = group % 2 * 4;
      for (int i = 0; i < 32; ++i)
        out[group * 32 + i] = scale * static_cast<float>(low[i] >> shift & 15) - minimum;
    }
  });
}

void dequantizeQ5_K(BlockRow row, float *out) {
  forEachBlock<BlockQ5_K>(row, out, [](const BlockQ5_K &block, float *__restrict out) {
    float common = decodeF16(block.scale), commonMinimum = decodeF16(block.minimum);
    for (int group = 0; group < 8; ++group) {
      auto [factor, factorMinimum] = unpack(block.scales, group);
      float scale = common * factor, minimum = commonMinimum * factorMinimum;
      const uint8_t *low = block.low + group / 2 * 32;
      int shift = group % 2 * 4;
      for (int i = 0; i < 32; ++i) {
        int value = (low[i] >> shift & 15) | (block.high[i] >> group & 1) << 4;
        out[group * 32 + i] = scale * static_cast<float>(value) - minimum;
      }
    }
  });
}

void dequantizeQ6_K(BlockRow row, float *out) {
  forEachBlock<BlockQ6_K>(row, out, [](const BlockQ6_K &block, float *__restrict out) {
    float common = decodeF16(block.scale);
    for (int group = 0; group < 16; ++group) {
      float scale = common * static_cast<float>(block.scales[group]);
      // Numbers come in two halves of 128 = 4 x 32; a byte of `low` serves numbers 64 apart.
      int half = group / 8, quarter = group / 2 % 4, offset = group % 2 * 16;
      const uint8_t *low = block.low + half * 64 + quarter % 2 * 32 + offset;
      const uint8_t *high = block.high + half * 32 + offset;
      int lowShift = quarter / 2 * 4, highShift = quarter * 2;
      for (int i = 0; i < 16; ++i) {
        int value = (low[i] >> lowShift & 15) | (high[i] >> highShift & 3) << 4;
        out[group * 16 + i] = scale * static_cast<float>(value - 32);
      }
    }
  });
}

} // namespace sinter
