// SPDX-License-Identifier: Apache-2.0
// Classes of ASCII characters, whatever the locale.
#ifndef SINTER_RUNTIME_DATA_ASCII_H
#define SINTER_RUNTIME_DATA_ASCII_H

namespace sinter::data {

constexpr bool isAsciiLetter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }
constexpr bool isAsciiDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool isAsciiWord(char c) { return isAsciiLetter(c) || isAsciiDigit(c); }
/// What clean text has of it.
constexpr bool isAsciiSpace(char c) { return c == ' ' || c == '\n' || c == '\t'; }
constexpr char toAsciiLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_ASCII_H
