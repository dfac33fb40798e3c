// SPDX-License-Identifier: Apache-2.0
// Case and categories come from utf8proc (simple mappings: one code point becomes one).
#include "runtime/chat/Text.h"
#include "runtime/files/Utf8.h"
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <utf8proc.h>
#include <utility>

namespace sinter::chat {

uint32_t nextCodepoint(std::string_view text, size_t &at) {
  const auto byte = [&](size_t i) { return i < text.size() ? uint8_t(text[i]) : 0u; };
  const uint32_t lead = byte(at);
  const size_t length = utf8Length(text.substr(at));
  const size_t begin = at;
  at += length ? length : 1;
  switch (length) {
  case 1:
    return lead;
  case 2:
    return (lead & 31) << 6 | (byte(begin + 1) & 63);
  case 3:
    return (lead & 15) << 12 | (byte(begin + 1) & 63) << 6 | (byte(begin + 2) & 63);
  case 4:
    return (lead & 7) << 18 | (byte(begin + 1) & 63) << 12 | (byte(begin + 2) & 63) << 6 |
           (byte(begin + 3) & 63);
  }
  return 0xFFFD;
}

void appendCodepoint(std::string &out, uint32_t codepoint) {
  char bytes[4];
  out.append(bytes, size_t(writeUtf8(bytes, codepoint) - bytes));
}

int64_t countCodepoints(std::string_view text) {
  int64_t count = 0;
  for (char c : text)
    count += (c & 0xC0) != 0x80;
  return count;
}

size_t byteOffset(std::string_view text, int64_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index)
    for (++at; at < text.size() && (text[at] & 0xC0) == 0x80;)
      ++at;
  return at;
}

bool isSpace(uint32_t c) {
  if (c < 0x80)
    return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20);
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

namespace {

/// Cuts code points that `drop` takes off the front or the back.
template <typename Drop> std::string_view cutFront(std::string_view text, Drop drop) {
  for (size_t at = 0; at < text.size();) {
    size_t next = at;
    if (!drop(nextCodepoint(text, next)))
      return text.substr(at);
    at = next;
  }
  return {};
}
template <typename Drop> std::string_view cutBack(std::string_view text, Drop drop) {
  while (!text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && (text[at] & 0xC0) == 0x80)
      --at;
    size_t next = at;
    if (!drop(nextCodepoint(text, next)))
      break;
    text = text.substr(0, at);
  }
  return text;
}
auto oneOf(std::string_view characters) {
  return [characters](uint32_t c) {
    for (size_t at = 0; at < characters.size();)
      if (nextCodepoint(characters, at) == c)
        return true;
    return false;
  };
}

/// Each code point through `change(codepoint, whether it follows a cased one)`.
template <typename Change> std::string mapped(std::string_view text, Change change) {
  std::string out;
  out.reserve(text.size());
  bool afterCased = false;
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = nextCodepoint(text, at);
    appendCodepoint(out, change(c, afterCased));
    afterCased = isUpper(c) || isLower(c) || utf8proc_category(int32_t(c)) == UTF8PROC_CATEGORY_LT;
  }
  return out;
}

uint32_t upper(uint32_t c) { return uint32_t(utf8proc_toupper(int32_t(c))); }
uint32_t lower(uint32_t c) { return uint32_t(utf8proc_tolower(int32_t(c))); }

} // namespace

std::string_view stripLeft(std::string_view text) { return cutFront(text, isSpace); }
std::string_view stripRight(std::string_view text) { return cutBack(text, isSpace); }
std::string_view stripLeft(std::string_view text, std::string_view characters) {
  return cutFront(text, oneOf(characters));
}
std::string_view stripRight(std::string_view text, std::string_view characters) {
  return cutBack(text, oneOf(characters));
}

std::string upperCase(std::string_view text) {
  return mapped(text, [](uint32_t c, bool) { return upper(c); });
}
std::string lowerCase(std::string_view text) {
  return mapped(text, [](uint32_t c, bool) { return lower(c); });
}
std::string capitalized(std::string_view text) {
  bool first = true;
  return mapped(text, [&](uint32_t c, bool) {
    return std::exchange(first, false) ? uint32_t(utf8proc_totitle(int32_t(c))) : lower(c);
  });
}
std::string titleCase(std::string_view text) {
  return mapped(text, [](uint32_t c, bool afterCased) {
    return afterCased ? lower(c) : uint32_t(utf8proc_totitle(int32_t(c)));
  });
}
std::string swappedCase(std::string_view text) {
  return mapped(text, [](uint32_t c, bool) { return isUpper(c) ? lower(c) : upper(c); });
}

bool isAlpha(uint32_t c) {
  const int category = utf8proc_category(int32_t(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}
bool isDecimal(uint32_t c) { return utf8proc_category(int32_t(c)) == UTF8PROC_CATEGORY_ND; }
bool isNumeric(uint32_t c) {
  const int category = utf8proc_category(int32_t(c));
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}
bool isUpper(uint32_t c) { return utf8proc_isupper(int32_t(c)); }
bool isLower(uint32_t c) { return utf8proc_islower(int32_t(c)); }

std::string replaceAll(std::string_view text, std::string_view from, std::string_view to, int64_t count) {
  std::string out;
  size_t at = 0;
  if (from.empty()) { // between all code points
    while (count != 0) {
      out += to;
      --count;
      if (at == text.size())
        return out;
      const size_t begin = at;
      nextCodepoint(text, at);
      out += text.substr(begin, at - begin);
    }
    return out += text.substr(at);
  }
  for (; count != 0; --count) {
    const size_t found = text.find(from, at);
    if (found == text.npos)
      break;
    out += text.substr(at, found - at);
    out += to;
    at = found + from.size();
  }
  return out += text.substr(at);
}

std::string reprString(std::string_view text) {
  const bool doubled = text.find('\'') != text.npos && text.find('"') == text.npos;
  const char quote = doubled ? '"' : '\'';
  std::string out(1, quote);
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const uint32_t c = nextCodepoint(text, at);
    if (c == uint32_t(quote) || c == '\\') {
      out += '\\';
      out += char(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c == ' ' || (c > 0x20 && c < 0x7F)) {
      out += char(c);
    } else {
      const int category = utf8proc_category(int32_t(c));
      const bool hidden = category == UTF8PROC_CATEGORY_CN || (category >= UTF8PROC_CATEGORY_ZS);
      if (!hidden)
        out += text.substr(begin, at - begin);
      else
        out += c < 0x100     ? fmt::format("\\x{:02x}", c)
               : c < 0x10000 ? fmt::format("\\u{:04x}", c)
                             : fmt::format("\\U{:08x}", c);
    }
  }
  return out += quote;
}

std::string reprFloat(double number) {
  if (std::isnan(number))
    return "nan";
  if (std::isinf(number))
    return number > 0 ? "inf" : "-inf";
  char digits[64];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::scientific).ptr;
  std::string text(digits, end);
  const size_t e = text.find('e');
  const int exponent = std::atoi(text.c_str() + e + 1);
  if (exponent < -4 || exponent >= 16)
    return text;
  const size_t point = text.find('.');
  const int fraction = point == text.npos ? 0 : int(e - point) - 1;
  std::string plain = fmt::format("{:.{}f}", number, std::max(0, fraction - exponent));
  if (plain.find('.') == std::string::npos)
    plain += ".0";
  return plain;
}

} // namespace sinter::chat
