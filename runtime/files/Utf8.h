// SPDX-License-Identifier: Apache-2.0
// Well-formed UTF-8 (Unicode standard, table 3-7): what a text begins with, the bytes of a code point, and
// repair as Python's errors='replace' does it: U+FFFD for each maximal part of an ill-formed sequence
// (section 3.9, "substitution of maximal subparts").
#ifndef SINTER_RUNTIME_FILES_UTF8_H
#define SINTER_RUNTIME_FILES_UTF8_H

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <emmintrin.h>
#include <string>
#include <string_view>

namespace sinter {

/// What stands at the start of a text.
struct Utf8Step {
  size_t size;     // bytes: the character, or the ill-formed part to replace
  bool valid;      // a whole well-formed character
  bool incomplete; // not valid, but more bytes after the end of the text could complete it
};

/// Needs at least one byte.
inline Utf8Step stepUtf8(std::string_view text) {
  auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80)
    return {1, true, false};
  size_t need = 0;
  unsigned char low = 0x80, high = 0xBF; // range of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    need = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    need = 3;
    low = lead == 0xE0 ? 0xA0 : 0x80;
    high = lead == 0xED ? 0x9F : 0xBF;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    need = 4;
    low = lead == 0xF0 ? 0x90 : 0x80;
    high = lead == 0xF4 ? 0x8F : 0xBF;
  } else {
    return {1, false, false};
  }
  for (size_t i = 1; i < need; ++i) {
    if (i == text.size())
      return {i, false, true};
    if (byte(i) < low || byte(i) > high)
      return {i, false, false};
    low = 0x80;
    high = 0xBF;
  }
  return {need, true, false};
}

/// Bytes of the well-formed sequence that `text` begins with; 0 if it begins with none.
inline size_t utf8Length(std::string_view text) {
  if (uint32_t word; text.size() >= 4) { // most sequences of three bytes are told by one look
    std::memcpy(&word, text.data(), 4);
    const unsigned lead = word & 0xFF;
    if (lead > 0xE0 && lead != 0xED && (word & 0xC0C0F0) == 0x8080E0)
      return 3;
  }
  if (text.empty())
    return 0;
  const Utf8Step step = stepUtf8(text);
  return step.valid ? step.size : 0;
}

/// Bytes of the longest valid prefix.
size_t validUtf8Prefix(std::string_view text);

/// Appends `text` with every ill-formed part as U+FFFD; returns how many there were.
size_t appendRepairedUtf8(std::string &out, std::string_view text);

/// `text` with every ill-formed part as U+FFFD.
std::string repairUtf8(std::string_view text);

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
