// SPDX-License-Identifier: Apache-2.0
// The table of storage formats and what is common to all: sizes, shapes, single numbers.
#include "runtime/files/BlockFormats.h"
#include "runtime/files/BlockCodecs.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cstring>

namespace sinter {

static_assert(std::endian::native == std::endian::little, "weights are little-endian on disk and in memory");

// Numbers from ggml.h (enum ggml_type), sizes from ggml-common.h.
const BlockFormat f32Format{"F32", 0, 1, 4, dequantizeF32, quantizeF32};
const BlockFormat f16Format{"F16", 1, 1, 2, dequantizeF16, quantizeF16};
const BlockFormat bf16Format{"BF16", 30, 1, 2, dequantizeBf16, quantizeBf16};
const BlockFormat f8E4M3FNFormat{"F8_E4M3", UINT32_MAX, 1, 1, dequantizeE4m3, quantizeE4m3};
const BlockFormat f8E5M2Format{"F8_E5M2", UINT32_MAX, 1, 1, dequantizeE5m2, quantizeE5m2};
const BlockFormat q4_0Format{"Q4_0", 2, 32, 18, dequantizeQ4_0, quantizeQ4_0};
const BlockFormat q4_1Format{"Q4_1", 3, 32, 20, dequantizeQ4_1, quantizeQ4_1};
const BlockFormat q5_0Format{"Q5_0", 6, 32, 22, dequantizeQ5_0, nullptr};
const BlockFormat q5_1Format{"Q5_1", 7, 32, 24, dequantizeQ5_1, nullptr};
const BlockFormat q8_0Format{"Q8_0", 8, 32, 34, dequantizeQ8_0, quantizeQ8_0};
const BlockFormat q2_KFormat{"Q2_K", 10, 256, 84, dequantizeQ2_K, nullptr};
const BlockFormat q3_KFormat{"Q3_K", 11, 256, 110, dequantizeQ3_K, nullptr};
const BlockFormat q4_KFormat{"Q4_K", 12, 256, 144, dequantizeQ4_K, nullptr};
const BlockFormat q5_KFormat{"Q5_K", 13, 256, 176, dequantizeQ5_K, nullptr};
const BlockFormat q6_KFormat{"Q6_K", 14, 256, 210, dequantizeQ6_K, nullptr};

namespace {

// Known by name and size, so that a file that holds them can be described and the type named.
const BlockFormat unreadable[] = {
    {"Q8_1", 9, 32, 40, nullptr, nullptr},      {"Q8_K", 15, 256, 292, nullptr, nullptr},
    {"IQ2_XXS", 16, 256, 66, nullptr, nullptr}, {"IQ2_XS", 17, 256, 74, nullptr, nullptr},
    {"IQ3_XXS", 18, 256, 98, nullptr, nullptr}, {"IQ1_S", 19, 256, 50, nullptr, nullptr},
    {"IQ4_NL", 20, 32, 18, nullptr, nullptr},   {"IQ3_S", 21, 256, 110, nullptr, nullptr},
    {"IQ2_S", 22, 256, 82, nullptr, nullptr},   {"IQ4_XS", 23, 256, 136, nullptr, nullptr},
    {"I8", 24, 1, 1, nullptr, nullptr},         {"I16", 25, 1, 2, nullptr, nullptr},
    {"I32", 26, 1, 4, nullptr, nullptr},        {"I64", 27, 1, 8, nullptr, nullptr},
    {"F64", 28, 1, 8, nullptr, nullptr},        {"IQ1_M", 29, 256, 56, nullptr, nullptr},
    {"TQ1_0", 34, 256, 54, nullptr, nullptr},   {"TQ2_0", 35, 256, 66, nullptr, nullptr},
    {"MXFP4", 39, 32, 17, nullptr, nullptr},    {"NVFP4", 40, 64, 36, nullptr, nullptr},
    {"Q1_0", 41, 128, 18, nullptr, nullptr},
};

constexpr std::array readable{&f32Format,  &f16Format,  &bf16Format, &q4_0Format, &q4_1Format,
                              &q5_0Format, &q5_1Format, &q8_0Format, &q2_KFormat, &q3_KFormat,
                              &q4_KFormat, &q5_KFormat, &q6_KFormat};

} // namespace

std::span<const BlockFormat *const> allBlockFormats() {
  static const auto all = [] {
    std::array<const BlockFormat *, readable.size() + std::size(unreadable)> formats;
    auto rest = std::copy(readable.begin(), readable.end(), formats.begin());
    for (const BlockFormat &format : unreadable)
      *rest++ = &format;
    return formats;
  }();
  return all;
}

const BlockFormat *findBlockFormat(uint32_t ggmlType) {
  for (const BlockFormat *format : allBlockFormats())
    if (format->ggmlType == ggmlType)
      return format;
  return nullptr;
}

const BlockFormat *findBlockFormat(std::string_view name) {
  auto sameLetter = [](unsigned char a, unsigned char b) { return std::toupper(a) == std::toupper(b); };
  for (const BlockFormat *format : allBlockFormats())
    if (std::ranges::equal(format->name, name, sameLetter))
      return format;
  return nullptr;
}

std::string_view howToConvert() {
  return "supported are F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K; make such a file from "
         "the "
         "original model (convert_hf_to_gguf.py --outtype f16), or from this one with llama-quantize "
         "--allow-requantize to Q8_0";
}

Result<int64_t> BlockFormat::bytesOf(int64_t length) const {
  if (length < 0 || length % blockLength != 0)
    return fail("expected a multiple of {}'s block of {} numbers, found {}", name, blockLength, length);
  int64_t bytes;
  if (__builtin_mul_overflow(length / blockLength, static_cast<int64_t>(blockBytes), &bytes))
    return fail("expected a tensor of at most 2^63 bytes, found {} numbers of {}", length, name);
  return bytes;
}

Result<int64_t> elementCount(std::span<const int64_t> shape) {
  int64_t count = 1;
  for (int64_t length : shape)
    if (length < 0 || __builtin_mul_overflow(count, length, &count))
      return fail("expected a shape of at most 2^63 elements, found {}", shapeText(shape));
  return count;
}

std::string shapeText(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

float f16ToF32(uint16_t bits) { return decodeF16(bits); }
uint16_t f32ToF16(float value) { return encodeF16(value); }
float bf16ToF32(uint16_t bits) { return decodeBf16(bits); }
uint16_t f32ToBf16(float value) { return encodeBf16(value); }
uint8_t f32ToE4m3(float value) { return encodeE4m3(value); }
uint8_t f32ToE5m2(float value) { return encodeE5m2(value); }
float e4m3ToF32(uint8_t bits) { return decodeE4m3(bits); }
float e5m2ToF32(uint8_t bits) { return decodeE5m2(bits); }

} // namespace sinter
