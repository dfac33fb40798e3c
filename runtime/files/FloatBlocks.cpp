// SPDX-License-Identifier: Apache-2.0
// Rows of plain floats: F32, F16, BF16 and those of 8 bits. Files may hold them at any address, so they are
// read bytewise.
#include "runtime/files/BlockCodecs.h"

#include <cstring>

namespace sinter {
namespace {

template <typename T> T load(const std::byte *from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

} // namespace

void dequantizeF32(BlockRow row, float *out) { std::memcpy(out, row.data(), row.size()); }

void dequantizeF16(BlockRow row, float *__restrict out) {
  const std::byte *in = row.data();
  for (size_t i = 0, count = row.size() / 2; i < count; ++i)
    out[i] = decodeF16(load<uint16_t>(in + 2 * i));
}

void dequantizeBf16(BlockRow row, float *__restrict out) {
  const std::byte *in = row.data();
  for (size_t i = 0, count = row.size() / 2; i < count; ++i)
    out[i] = decodeBf16(load<uint16_t>(in + 2 * i));
}

void quantizeF32(FloatRow in, std::byte *out) { std::memcpy(out, in.data(), in.size_bytes()); }

void quantizeF16(FloatRow in, std::byte *__restrict out) {
  for (size_t i = 0; i < in.size(); ++i) {
    uint16_t bits = encodeF16(in[i]);
    std::memcpy(out + 2 * i, &bits, 2);
  }
}

void quantizeBf16(FloatRow in, std::byte *__restrict out) {
  for (size_t i = 0; i < in.size(); ++i) {
    uint16_t bits = encodeBf16(in[i]);
    std::memcpy(out + 2 * i, &bits, 2);
  }
}

void dequantizeE4m3(BlockRow row, float *__restrict out) {
  for (size_t i = 0; i < row.size(); ++i)
    out[i] = decodeE4m3(static_cast<uint8_t>(row[i]));
}

void dequantizeE5m2(BlockRow row, float *__restrict out) {
  for (size_t i = 0; i < row.size(); ++i)
    out[i] = decodeE5m2(static_cast<uint8_t>(row[i]));
}

void quantizeE4m3(FloatRow in, std::byte *__restrict out) {
  for (size_t i = 0; i < in.size(); ++i)
    out[i] = std::byte{encodeE4m3(in[i])};
}

void quantizeE5m2(FloatRow in, std::byte *__restrict out) {
  for (size_t i = 0; i < in.size(); ++i)
    out[i] = std::byte{encodeE5m2(in[i])};
}

} // namespace sinter
