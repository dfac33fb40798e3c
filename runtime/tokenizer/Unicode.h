// SPDX-License-Identifier: Apache-2.0
// Categories of Unicode 16.0 code points by table lookup, and the step from one UTF-8 character to the next.
#ifndef SINTER_RUNTIME_TOKENIZER_UNICODE_H
#define SINTER_RUNTIME_TOKENIZER_UNICODE_H

#include "runtime/files/Utf8.h"
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sinter::unicode {

#include "runtime/tokenizer/UnicodeTable.inc"

/// A set of categories, one bit each; the bits are utf8proc's category numbers.
using Set = uint32_t;
inline constexpr Set Lu = 1u << 1, Ll = 1u << 2, Lt = 1u << 3, Lm = 1u << 4, Lo = 1u << 5;
inline constexpr Set Mn = 1u << 6, Mc = 1u << 7, Me = 1u << 8, Nd = 1u << 9, Nl = 1u << 10, No = 1u << 11;
inline constexpr Set Pc = 1u << 12, Pd = 1u << 13, Ps = 1u << 14, Pe = 1u << 15, Pi = 1u << 16, Pf = 1u << 17,
                     Po = 1u << 18;
inline constexpr Set Zs = 1u << 23, Zl = 1u << 24, Zp = 1u << 25;
inline constexpr Set SpaceControl = 1u << 30; // U+0009 to U+000D and U+0085, category Cc
inline constexpr Set Letter = Lu | Ll | Lt | Lm | Lo;
inline constexpr Set Mark = Mn | Mc | Me;
inline constexpr Set Number = Nd | Nl | No;
inline constexpr Set Punctuation = Pc | Pd | Ps | Pe | Pi | Pf | Po;
inline constexpr Set Space = Zs | Zl | Zp | SpaceControl; // the property White_Space

inline unsigned char entry(uint32_t c) { return unicodeBlocks[unicodeIndex[c >> 7] * 128 + (c & 127)]; }
/// The category of a code point below 0x110000 as a set of one.
inline Set category(uint32_t c) { return 1u << (entry(c) & 31); }
/// Whether NFC may change this code point, reorder it or join it with the one before.
inline bool changesUnderNfc(uint32_t c) { return entry(c) & 0x80; }

/// \w of Rust's regex crate: alphabetic, marks, decimal digits, connectors, joiners.
inline bool isWord(uint32_t c) {
  if (category(c) & (Letter | Mark | Nd | Nl | Pc))
    return true;
  return c == 0x200C || c == 0x200D || (c >= 0x24B6 && c <= 0x24E9) || (c >= 0x1F130 && c <= 0x1F149) ||
         (c >= 0x1F150 && c <= 0x1F169) || (c >= 0x1F170 && c <= 0x1F189);
}

struct Char {
  uint32_t code;
  uint32_t size; // bytes, 1 to 4
};

/// Reads one character of valid UTF-8.
inline Char decode(const char *p) {
  auto b = [p](int i) { return static_cast<uint32_t>(static_cast<unsigned char>(p[i])); };
  uint32_t lead = b(0);
  if (lead < 0x80)
    return {lead, 1};
  if (lead < 0xE0)
    return {(lead & 0x1F) << 6 | (b(1) & 0x3F), 2};
  if (lead < 0xF0)
    return {(lead & 0x0F) << 12 | (b(1) & 0x3F) << 6 | (b(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (b(1) & 0x3F) << 12 | (b(2) & 0x3F) << 6 | (b(3) & 0x3F), 4};
}

inline bool isContinuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// Where the character before `at` > 0 begins.
inline size_t charBefore(std::string_view text, size_t at) {
  do
    --at;
  while (at > 0 && isContinuation(text[at]));
  return at;
}

/// Bytes of the character that starts with this byte of valid UTF-8.
inline size_t charSize(char lead) {
  auto b = static_cast<unsigned char>(lead);
  return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4;
}

inline void append(std::string &out, uint32_t c) {
  char bytes[4];
  out.append(bytes, writeUtf8(bytes, c));
}

} // namespace sinter::unicode

#endif // SINTER_RUNTIME_TOKENIZER_UNICODE_H
