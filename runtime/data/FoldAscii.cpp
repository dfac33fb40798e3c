// SPDX-License-Identifier: Apache-2.0
// Eight bytes at a time, closed up by BMI2's pext where the processor has it.
#include "runtime/data/FoldAscii.h"
#include "runtime/data/Ascii.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <immintrin.h>

namespace sinter::data {
namespace {

char *foldBytes(std::string_view text, char *out) {
  for (char c : text) {
    *out = toAsciiLower(c);
    out += !isAsciiSpace(c);
  }
  return out;
}

constexpr uint64_t each = 0x0101010101010101, high = 0x8080808080808080;

/// The high bit of each byte that is `c`, which is ASCII.
constexpr uint64_t equal(uint64_t bytes, char c) {
  uint64_t difference = bytes ^ each * static_cast<unsigned char>(c);
  return ~(((difference & ~high) + ~high) | difference) & high;
}

__attribute__((target("bmi2,popcnt"))) char *foldWords(std::string_view text, char *out) {
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t bytes;
    std::memcpy(&bytes, text.data() + i, 8);
    uint64_t kept = ~(equal(bytes, ' ') | equal(bytes, '\n') | equal(bytes, '\t')) & high;
    bytes = _pext_u64(toAsciiLower(bytes), (kept >> 7) * 0xFF);
    std::memcpy(out, &bytes, 8);
    out += std::popcount(kept);
  }
  return foldBytes(text.substr(i), out);
}

} // namespace

size_t foldAscii(std::string_view text, char *out) {
  static const bool hasPext = __builtin_cpu_supports("bmi2");
  char *end = hasPext ? foldWords(text, out) : foldBytes(text, out);
  return static_cast<size_t>(end - out);
}

} // namespace sinter::data
