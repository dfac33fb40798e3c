// SPDX-License-Identifier: Apache-2.0
// Looks at exponents only. Numbers of a block are products and sums of its scale, its minimum and small
// integers, so they are finite exactly when scale and minimum are.
#include "runtime/files/FiniteNumbers.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace sinter {
namespace {

/// The first of `count` numbers, `stride` bytes apart, whose bits under `exponent` are all set. Looks at a
/// part before it asks which, so that the loop has no branches.
template <typename Bits>
int64_t findSaturated(const std::byte *from, int64_t count, int64_t stride, Bits exponent) {
  constexpr int64_t part = 1024;
  auto saturated = [&](int64_t i) {
    Bits bits;
    std::memcpy(&bits, from + i * stride, sizeof bits);
    return (bits & exponent) == exponent;
  };
  for (int64_t begin = 0; begin < count; begin += part) {
    int64_t end = std::min(begin + part, count);
    unsigned any = 0;
    for (int64_t i = begin; i < end; ++i)
      any |= saturated(i);
    for (int64_t i = begin; any && i < end; ++i)
      if (saturated(i))
        return i;
  }
  return -1;
}

/// Where in a block its f16 scale and minimum are (ggml-common.h).
std::span<const int> scalesOf(const BlockFormat &format) {
  static constexpr int first[] = {0}, firstTwo[] = {0, 2}, q2[] = {80, 82}, q3[] = {108}, q6[] = {208};
  if (&format == &q2_KFormat)
    return q2;
  if (&format == &q3_KFormat)
    return q3;
  if (&format == &q6_KFormat)
    return q6;
  for (const BlockFormat *withMinimum : {&q4_1Format, &q5_1Format, &q4_KFormat, &q5_KFormat})
    if (&format == withMinimum)
      return firstTwo;
  return first;
}

} // namespace

int64_t findNonFinite(const BlockFormat &format, std::span<const std::byte> row) {
  assert(format.dequantize && "a format that can be read");
  int64_t count = static_cast<int64_t>(row.size() / format.blockBytes);
  if (&format == &f32Format)
    return findSaturated<uint32_t>(row.data(), count, 4, 0x7F800000);
  if (&format == &f16Format)
    return findSaturated<uint16_t>(row.data(), count, 2, 0x7C00);
  if (&format == &bf16Format)
    return findSaturated<uint16_t>(row.data(), count, 2, 0x7F80);
  int64_t first = -1;
  for (int place : scalesOf(format)) {
    int64_t block = findSaturated<uint16_t>(row.data() + place, count, format.blockBytes, 0x7C00);
    if (block >= 0 && (first < 0 || block * format.blockLength < first))
      first = block * format.blockLength;
  }
  return first;
}

} // namespace sinter
