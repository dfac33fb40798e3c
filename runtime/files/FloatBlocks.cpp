// SPDX-License-Identifier: Apache-2.0
// Rows of plain floats: F32, F16 and BF16. Files may hold them at any address, so they are read bytewise.
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

} // namespace sinter
