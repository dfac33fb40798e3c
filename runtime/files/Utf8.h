// SPDX-License-Identifier: Apache-2.0
// Well-formed UTF-8: the length of the next character and the bytes of a code point.
#ifndef SINTER_RUNTIME_FILES_UTF8_H
#define SINTER_RUNTIME_FILES_UTF8_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <emmintrin.h>
#include <string_view>

namespace sinter {

/// Bytes of the well-formed sequence (Unicode standard, table 3-7) that `text` begins with; 0 if it begins
/// with none.
inline size_t utf8Length(std::string_view text) {
  if (uint32_t word; text.size() >= 4) { // most sequences of three bytes are told by one look
    std::memcpy(&word, text.data(), 4);
    unsigned lead = word & 0xFF;
    if (lead > 0xE0 && lead != 0xED && (word & 0xC0C0F0) == 0x8080E0)
      return 3;
  }
  auto byte = [text](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  auto continues = [byte](size_t i) { return (byte(i) & 0xC0) == 0x80; };
  unsigned lead = byte(0);
  if (lead < 0x80)
    return text.empty() ? 0 : 1;
  if (lead >= 0xC2 && lead <= 0xDF)
    return continues(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    unsigned low = lead == 0xE0 ? 0xA0 : 0x80, high = lead == 0xED ? 0x9F : 0xBF;
    return byte(1) >= low && byte(1) <= high && continues(2) ? 3 : 0;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    unsigned low = lead == 0xF0 ? 0x90 : 0x80, high = lead == 0xF4 ? 0x8F : 0xBF;
    return byte(1) >= low && byte(1) <= high && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

/// Writes the one to four bytes of `codepoint` (below 0x110000) to `out`; returns the end.
inline char *writeUtf8(char *out, uint32_t codepoint) {
  auto put = [&out](uint32_t byte) { *out++ = static_cast<char>(byte); };
  if (codepoint < 0x80) {
    put(codepoint);
  } else if (codepoint < 0x800) {
    put(0xC0 | codepoint >> 6);
    put(0x80 | (codepoint & 0x3F));
  } else if (codepoint < 0x10000) {
    put(0xE0 | codepoint >> 12);
    put(0x80 | (codepoint >> 6 & 0x3F));
    put(0x80 | (codepoint & 0x3F));
  } else {
    put(0xF0 | codepoint >> 18);
    put(0x80 | (codepoint >> 12 & 0x3F));
    put(0x80 | (codepoint >> 6 & 0x3F));
    put(0x80 | (codepoint & 0x3F));
  }
  return out;
}

/// Where the first byte lies that JSON strings do not hold as it is: a quote, a backslash, a control
/// character, DEL, or what begins no well-formed character. Goes over ASCII 16 bytes at a time (SSE2, which
/// every x86-64 has).
inline const char *skipPlain(const char *at, const char *end) {
  while (at != end) {
    if (end - at >= 16) {
      __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(at));
      auto is = [&](char c) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); };
      // Signed: what is beyond ASCII is less than a space, too.
      __m128i found = _mm_or_si128(_mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')), is('"')),
                                   _mm_or_si128(is('\\'), is('\x7F')));
      auto mask = static_cast<unsigned>(_mm_movemask_epi8(found));
      if (mask == 0) {
        at += 16;
        continue;
      }
      at += std::countr_zero(mask);
    }
    auto c = static_cast<unsigned char>(*at);
    if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F)
      return at;
    while (at != end && static_cast<signed char>(*at) < 0) {
      size_t length = utf8Length({at, static_cast<size_t>(end - at)});
      if (length == 0)
        return at;
      at += length;
    }
    at += c < 0x80;
  }
  return end;
}

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_UTF8_H
