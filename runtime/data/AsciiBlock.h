// SPDX-License-Identifier: Apache-2.0
// What 32 bytes of a text are, a bit a byte (AVX2, for which all of this library is compiled).
#ifndef SINTER_RUNTIME_DATA_ASCIIBLOCK_H
#define SINTER_RUNTIME_DATA_ASCIIBLOCK_H

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

namespace sinter::data {

class AsciiBlock {
public:
  static constexpr size_t size = 32;

  explicit AsciiBlock(const char *text)
      : bytes(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(text))) {}

  uint32_t are(char c) const { return mask(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(c))); }
  uint32_t areSpaces() const { return are(' ') | are('\n') | are('\t'); }
  uint32_t areDigits() const { return mask(isBetween(bytes, '0', '9')); }
  uint32_t areLetters() const {
    return mask(isBetween(_mm256_or_si256(bytes, _mm256_set1_epi8(32)), 'a', 'z'));
  }
  uint32_t areBeyondAscii() const { return mask(bytes); }

  /// Writes the bytes with letters in lower case.
  void lower(char *out) const {
    __m256i difference = _mm256_and_si256(isBetween(bytes, 'A', 'Z'), _mm256_set1_epi8(32));
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(out), _mm256_add_epi8(bytes, difference));
  }

private:
  static uint32_t mask(__m256i is) { return static_cast<uint32_t>(_mm256_movemask_epi8(is)); }
  /// Signed: what is beyond ASCII is less than any of it.
  static __m256i isBetween(__m256i bytes, char first, char last) {
    return _mm256_and_si256(_mm256_cmpgt_epi8(bytes, _mm256_set1_epi8(static_cast<char>(first - 1))),
                            _mm256_cmpgt_epi8(_mm256_set1_epi8(static_cast<char>(last + 1)), bytes));
  }

  __m256i bytes;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_ASCIIBLOCK_H
