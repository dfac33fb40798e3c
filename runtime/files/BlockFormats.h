// SPDX-License-Identifier: Apache-2.0
// How weights are stored: plain floats, and blocks of quantised numbers as GGUF files hold them. A format is
// a row of a table; the arithmetic lives in one file a family.
#ifndef SINTER_RUNTIME_FILES_BLOCKFORMATS_H
#define SINTER_RUNTIME_FILES_BLOCKFORMATS_H

#include "runtime/Result.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sinter {

/// One way to store a row of numbers: blocks of `blockLength` numbers in `blockBytes` bytes each, one after
/// another. Numbers and layouts are ggml's (ggml-quants.c, ggml-common.h). Formats are compared by address.
struct BlockFormat {
  std::string_view name; // as ggml spells it: "Q4_K"
  uint32_t ggmlType;     // number in GGUF files
  uint32_t blockLength;  // numbers
  uint32_t blockBytes;

  /// Decodes `row`, a whole number of blocks, to `row.size() / blockBytes * blockLength` floats. Bit-equal to
  /// ggml's dequantize_row_*. Null for formats that are known by name only.
  void (*dequantize)(std::span<const std::byte> row, float *out);

  /// Encodes `in`, a whole number of blocks, as ggml's quantize_row_*_ref rounds. NaN and infinity give an
  /// unspecified but valid block. Null where Sinter does not write the format.
  void (*quantize)(std::span<const float> in, std::byte *out);

  bool isFloat() const { return blockLength == 1; }

  /// Bytes of `length` numbers; fails when they are no whole number of blocks or do not fit 63 bits.
  Result<int64_t> bytesOf(int64_t length) const;
};

extern const BlockFormat f32Format, f16Format, bf16Format;
/// OCP's formats of 8 bits, for functions that are compiled alone: no list and no search gives them, since
/// model files that hold them are refused. Quantised to nearest even, numbers beyond the largest one become
/// it.
extern const BlockFormat f8E4M3FNFormat, f8E5M2Format;
extern const BlockFormat q4_0Format, q4_1Format, q5_0Format, q5_1Format, q8_0Format;
extern const BlockFormat q2_KFormat, q3_KFormat, q4_KFormat, q5_KFormat, q6_KFormat;

/// All formats ggml knows; those that Sinter cannot read have no `dequantize`.
std::span<const BlockFormat *const> allBlockFormats();

/// The format with ggml's number or name (in any case: "q8_0", "Q8_0"); null if there is none.
const BlockFormat *findBlockFormat(uint32_t ggmlType);
const BlockFormat *findBlockFormat(std::string_view name);

/// Why `format` cannot be read and what to do: "Q8_0, ... are supported; convert with ...". For formats
/// without `dequantize`.
std::string_view howToConvert();

/// Number of elements of a tensor. Fails on a negative length or when the product does not fit 63 bits.
Result<int64_t> elementCount(std::span<const int64_t> shape);

/// "[49152, 576]".
std::string shapeText(std::span<const int64_t> shape);

/// Single numbers, rounded to nearest even; NaN stays NaN.
float f16ToF32(uint16_t bits);
uint16_t f32ToF16(float value);
float bf16ToF32(uint16_t bits);
uint16_t f32ToBf16(float value);
/// As cvt.rn.satfinite of PTX: beyond the largest number that number, of infinity too; every NaN is 0x7f.
uint8_t f32ToE4m3(float value);
uint8_t f32ToE5m2(float value);
float e4m3ToF32(uint8_t bits);
float e5m2ToF32(uint8_t bits);

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_BLOCKFORMATS_H
