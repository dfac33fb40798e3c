// SPDX-License-Identifier: Apache-2.0
// Commas, escapes and round-trip numbers.
#include "runtime/files/JsonWriter.h"
#include "runtime/files/Utf8.h"

#include <charconv>
#include <cmath>

namespace sinter {
namespace {

template <typename T> std::string shortest(T number) {
  if (!std::isfinite(number))
    return "null";
  char digits[40];
  auto [last, error] = std::to_chars(digits, digits + sizeof digits, number);
  std::string text(digits, last);
  if (text.find_first_of(".e") == std::string::npos)
    text += ".0";
  return text;
}

} // namespace

void appendJsonString(std::string &out, std::string_view text) {
  constexpr char hex[] = "0123456789abcdef";
  out += '"';
  const char *at = text.data(), *end = at + text.size();
  for (;;) {
    const char *plain = skipPlain(at, end); // most of a text is written as it is
    out.append(at, plain);
    at = plain;
    if (at == end)
      break;
    unsigned char c = static_cast<unsigned char>(*at++);
    switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      if (c >= 0x80) {
        out += "\xEF\xBF\xBD";
        break;
      }
      out += "\\u00";
      out += hex[c >> 4];
      out += hex[c & 15];
    }
  }
  out += '"';
}

void JsonWriter::newLine() {
  if (indent == 0)
    return;
  out += '\n';
  out.append(static_cast<size_t>(depth * indent), ' ');
}

void JsonWriter::separate() {
  if (afterKey) {
    afterKey = false;
    return;
  }
  if (!first)
    out += ',';
  if (depth > 0)
    newLine();
  first = false;
}

JsonWriter &JsonWriter::open(char bracket) {
  separate();
  out += bracket;
  ++depth;
  first = true;
  return *this;
}

JsonWriter &JsonWriter::close(char bracket) {
  --depth;
  if (!first)
    newLine();
  out += bracket;
  first = false;
  return *this;
}

JsonWriter &JsonWriter::key(std::string_view name) {
  separate();
  appendJsonString(out, name);
  out += indent ? ": " : ":";
  afterKey = true;
  return *this;
}

JsonWriter &JsonWriter::token(std::string_view text) {
  separate();
  out += text;
  return *this;
}

JsonWriter &JsonWriter::value(std::string_view text) {
  separate();
  appendJsonString(out, text);
  return *this;
}

JsonWriter &JsonWriter::value(double number) { return token(shortest(number)); }
JsonWriter &JsonWriter::value(float number) { return token(shortest(number)); }

} // namespace sinter
