// SPDX-License-Identifier: Apache-2.0
// Blocks of 32 numbers with one scale: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0. The "_1" formats add a minimum. Byte j
// of `low` holds the low four bits of number j and, above them, of number j + 16; bit j of `high` the fifth
// bit. Arithmetic and rounding follow ggml-quants.c (dequantize_row_*, quantize_row_*_ref).
#include "runtime/files/BlockCodecs.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace sinter {
namespace {

constexpr int length = 32;

struct BlockQ4_0 {
  uint16_t scale;
  uint8_t low[16];
};
struct BlockQ4_1 {
  uint16_t scale, minimum;
  uint8_t low[16];
};
struct BlockQ5_0 {
  uint16_t scale;
  uint8_t high[4];
  uint8_t low[16];
};
struct BlockQ5_1 {
  uint16_t scale, minimum;
  uint8_t high[4];
  uint8_t low[16];
};
struct BlockQ8_0 {
  uint16_t scale;
  int8_t values[32];
};
static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22 &&
              sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34);

/// Calls `decode(block, out)` for each block of a row.
template <typename Block, typename Decode> void forEachBlock(BlockRow row, float *out, Decode decode) {
  for (size_t at = 0; at + sizeof(Block) <= row.size(); at += sizeof(Block), out += length) {
    Block block;
    std::memcpy(&block, row.data() + at, sizeof block);
    decode(block, out);
  }
}

/// Calls `encode(values, block)` for each 32 numbers.
template <typename Block, typename Encode> void forEachGroup(FloatRow in, std::byte *out, Encode encode) {
  for (size_t at = 0; at + length <= in.size(); at += length, out += sizeof(Block)) {
    Block block;
    encode(in.data() + at, block);
    std::memcpy(out, &block, sizeof block);
  }
}

/// The number with the largest magnitude, with its sign; of equal ones the first.
float largest(const float *in) {
  float magnitude = 0.0f, value = 0.0f;
  for (int i = 0; i < length; ++i) {
    bool larger = magnitude < std::fabs(in[i]);
    magnitude = larger ? std::fabs(in[i]) : magnitude;
    value = larger ? in[i] : value;
  }
  return value;
}

/// `value` cut to an integer from 0 to 15; NaN gives 0.
uint8_t toNibble(float value) {
  value = value > 0.0f ? value : 0.0f;
  return static_cast<uint8_t>(static_cast<int>(value < 15.0f ? value : 15.0f));
}

} // namespace

void dequantizeQ4_0(BlockRow row, float *out) {
  forEachBlock<BlockQ4_0>(row, out, [](const BlockQ4_0 &block, float *__restrict out) {
    float scale = decodeF16(block.scale);
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>((block.low[i] & 15) - 8) * scale;
      out[i + 16] = static_cast<float>((block.low[i] >> 4) - 8) * scale;
    }
  });
}

void dequantizeQ4_1(BlockRow row, float *out) {
  forEachBlock<BlockQ4_1>(row, out, [](const BlockQ4_1 &block, float *__restrict out) {
    float scale = decodeF16(block.scale), minimum = decodeF16(block.minimum);
    for (int i = 0; i < 16; ++i) {
      out[i] = static_cast<float>(block.low[i] & 15) * scale + minimum;
      out[i + 16] = static_cast<float>(block.low[i] >> 4) * scale + minimum;
    }
  });
}

void dequantizeQ5_0(BlockRow row, float *out) {
  forEachBlock<BlockQ5_0>(row, out, [](const BlockQ5_0 &block, float *__restrict out) {
    float scale = decodeF16(block.scale);
    uint32_t high;
    std::memcpy(&high, block.high, 4);
    for (int i = 0; i < 16; ++i) {
      int first = (block.low[i] & 15) | (high >> i & 1) << 4;
      int second = block.low[i] >> 4 | (high >> (i + 16) & 1) << 4;
      out[i] = static_cast<float>(first - 16) * scale;
      out[i + 16] = static_cast<float>(second - 16) * scale;
    }
  });
}

void dequantizeQ5_1(BlockRow row, float *out) {
  forEachBlock<BlockQ5_1>(row, out, [](const BlockQ5_1 &block, float *__restrict out) {
    float scale = decodeF16(block.scale), minimum = decodeF16(block.minimum);
    uint32_t high;
    std::memcpy(&high, block.high, 4);
    for (int i = 0; i < 16; ++i) {
      int first = (block.low[i] & 15) | (high >> i & 1) << 4;
      int second = block.low[i] >> 4 | (high >> (i + 16) & 1) << 4;
      out[i] = static_cast<float>(first) * scale + minimum;
      out[i + 16] = static_cast<float>(second) * scale + minimum;
    }
  });
}

void dequantizeQ8_0(BlockRow row, float *out) {
  forEachBlock<BlockQ8_0>(row, out, [](const BlockQ8_0 &block, float *__restrict out) {
    float scale = decodeF16(block.scale);
    for (int i = 0; i < length; ++i)
      out[i] = static_cast<float>(block.values[i]) * scale;
  });
}

void quantizeQ4_0(FloatRow in, std::byte *out) {
  forEachGroup<BlockQ4_0>(in, out, [](const float *in, BlockQ4_0 &block) {
    float scale = largest(in) / -8.0f;
    float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    block.scale = encodeF16(scale);
    for (int i = 0; i < 16; ++i)
      block.low[i] =
          static_cast<uint8_t>(toNibble(in[i] * inverse + 8.5f) | toNibble(in[i + 16] * inverse + 8.5f) << 4);
  });
}

void quantizeQ4_1(FloatRow in, std::byte *out) {
  forEachGroup<BlockQ4_1>(in, out, [](const float *in, BlockQ4_1 &block) {
    float minimum = std::numeric_limits<float>::max(), maximum = std::numeric_limits<float>::lowest();
    for (int i = 0; i < length; ++i) {
      minimum = in[i] < minimum ? in[i] : minimum;
      maximum = in[i] > maximum ? in[i] : maximum;
    }
    float scale = (maximum - minimum) / 15.0f;
    float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    block.scale = encodeF16(scale);
    block.minimum = encodeF16(minimum);
    for (int i = 0; i < 16; ++i)
      block.low[i] = static_cast<uint8_t>(toNibble((in[i] - minimum) * inverse + 0.5f) |
                                          toNibble((in[i + 16] - minimum) * inverse + 0.5f) << 4);
  });
}

void quantizeQ8_0(FloatRow in, std::byte *out) {
  forEachGroup<BlockQ8_0>(in, out, [](const float *in, BlockQ8_0 &block) {
    float scale = std::fabs(largest(in)) / 127.0f;
    float inverse = scale != 0.0f ? 1.0f / scale : 0.0f;
    block.scale = encodeF16(scale);
    for (int i = 0; i < length; ++i) {
      float value = std::round(in[i] * inverse); // half away from zero
      value = value > -128.0f ? value : -128.0f;
      block.values[i] = static_cast<int8_t>(static_cast<int>(value < 127.0f ? value : 127.0f));
    }
  });
}

} // namespace sinter
