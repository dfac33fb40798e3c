// SPDX-License-Identifier: Apache-2.0
// Strings as Python has them, over UTF-8: counted, cut and changed by code points. Inputs are valid UTF-8.
#ifndef SINTER_RUNTIME_CHAT_TEXT_H
#define SINTER_RUNTIME_CHAT_TEXT_H

#include <cstdint>
#include <string>
#include <string_view>

namespace sinter::chat {

/// The code point at byte `at`, which moves behind it.
uint32_t nextCodepoint(std::string_view text, size_t &at);
void appendCodepoint(std::string &out, uint32_t codepoint);
int64_t countCodepoints(std::string_view text);
/// Byte offset of code point `index`, the text's size when there are not so many.
size_t byteOffset(std::string_view text, int64_t index);

bool isSpace(uint32_t codepoint); ///< str.isspace
std::string_view stripLeft(std::string_view text);
std::string_view stripRight(std::string_view text);
/// Removes any of the code points of `characters`.
std::string_view stripLeft(std::string_view text, std::string_view characters);
std::string_view stripRight(std::string_view text, std::string_view characters);

std::string upperCase(std::string_view text);
std::string lowerCase(std::string_view text);
std::string capitalized(std::string_view text);
std::string titleCase(std::string_view text); ///< str.title
std::string swappedCase(std::string_view text);

/// str.isalpha, isdigit, ... of one code point.
bool isAlpha(uint32_t codepoint);
bool isDecimal(uint32_t codepoint);
bool isNumeric(uint32_t codepoint);
bool isUpper(uint32_t codepoint);
bool isLower(uint32_t codepoint);

std::string replaceAll(std::string_view text, std::string_view from, std::string_view to, int64_t count = -1);

/// repr() of a string and of a float.
std::string reprString(std::string_view text);
std::string reprFloat(double number);

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_TEXT_H
