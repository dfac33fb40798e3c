// SPDX-License-Identifier: Apache-2.0
// Classes of ASCII characters, whatever the locale.
#ifndef SINTER_RUNTIME_DATA_ASCII_H
#define SINTER_RUNTIME_DATA_ASCII_H

#include <cstdint>

namespace sinter::data {

constexpr bool isAsciiLetter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
constexpr bool isAsciiDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool isAsciiWord(char c) { return isAsciiLetter(c) || isAsciiDigit(c); }
/// What clean text has of it.
constexpr bool isAsciiSpace(char c) { return c == ' ' || c == '\n' || c == '\t'; }
constexpr char toAsciiLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// Eight bytes at once.
constexpr uint64_t toAsciiLower(uint64_t bytes) {
  constexpr uint64_t each = 0x0101010101010101, high = 0x8080808080808080;
  uint64_t seven = bytes & ~high;
  uint64_t fromA = seven + each * (0x80 - 'A'), beyondZ = seven + each * (0x7F - 'Z');
  return bytes | ((fromA & ~beyondZ & ~bytes & high) >> 2);
}

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_ASCII_H
