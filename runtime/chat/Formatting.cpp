// SPDX-License-Identifier: Apache-2.0
// Python's two ways to put values into text: "%d" % value and "{}".format(value), for numbers and text.
#include "runtime/chat/Builtins.h"
#include "runtime/chat/Text.h"
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>

namespace sinter::chat {

namespace {

using Kind = Value::Kind;

struct Specification {
  char type = 0, align = 0, sign = 0;
  std::string fill = " ";
  bool alternate = false;
  int64_t width = 0, precision = -1;
};

int64_t readNumber(std::string_view text, size_t &at) {
  int64_t number = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at)
    number = std::min<int64_t>(number * 10 + (text[at] - '0'), 1000000);
  return number;
}

std::string digits(const Value &value, const Specification &s) {
  const auto wrong = [&](const char *expected) {
    return TemplateError{
        fmt::format("format %{}: expected {}, found {}", s.type, expected, value.typeName())};
  };
  std::string text;
  if (s.type == 'd' || s.type == 'x' || s.type == 'X' || s.type == 'o') {
    if (!value.isNumber())
      throw wrong("a number");
    const int64_t number = value.isInteger() ? value.asInteger() : int64_t(value.asReal());
    const uint64_t size = number < 0 ? 0 - uint64_t(number) : uint64_t(number);
    text = s.type == 'd'   ? fmt::format("{}", size)
           : s.type == 'x' ? fmt::format("{:x}", size)
           : s.type == 'X' ? fmt::format("{:X}", size)
                           : fmt::format("{:o}", size);
    if (number < 0)
      text.insert(0, "-");
  } else { // e, f, g
    if (!value.isNumber())
      throw wrong("a number");
    const char format[] = {'%', '.', '*', s.type, '\0'};
    const int precision = int(std::min<int64_t>(s.precision < 0 ? 6 : s.precision, 400));
    char buffer[1024];
    text.assign(buffer, size_t(std::snprintf(buffer, sizeof buffer, format, precision, value.asReal())));
  }
  if (s.sign && text[0] != '-')
    text.insert(0, 1, s.sign);
  return text;
}

/// `text` brought to the width: align is <, >, ^ or = (zeros behind the sign).
std::string padded(std::string text, const Specification &s, char standard) {
  const int64_t missing = s.width - countCodepoints(text);
  if (missing <= 0)
    return text;
  const char align = s.align ? s.align : standard;
  std::string fill;
  const auto some = [&](int64_t count) {
    std::string out;
    for (int64_t i = 0; i < count; ++i)
      out += s.fill;
    return out;
  };
  if (align == '<')
    return text + some(missing);
  if (align == '^')
    return some(missing / 2) + text + some(missing - missing / 2);
  if (align == '=') {
    const size_t sign = text[0] == '-' || text[0] == '+' || text[0] == ' ';
    return text.substr(0, sign) + some(missing) + text.substr(sign);
  }
  return some(missing) + text;
}

std::string cutTo(std::string text, int64_t precision) {
  if (precision >= 0)
    text.resize(byteOffset(text, precision));
  return text;
}

} // namespace

std::string formatPercent(std::string_view format, const Value &values) {
  std::string out;
  size_t used = 0;
  const bool many = values.is(Kind::Tuple);
  const auto take = [&]() -> Value {
    const size_t index = used++;
    if (many ? index >= values.items().size() : index > 0)
      throw TemplateError{"not enough arguments for the format string"};
    return many ? values.items()[index] : values;
  };
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out += format[at++];
      continue;
    }
    ++at;
    Specification s;
    Value value;
    if (at < format.size() && format[at] == '(') {
      const size_t close = format.find(')', at);
      if (close == format.npos || !values.is(Kind::Dict))
        throw TemplateError{"format %(name): expected a mapping"};
      const Value *found = values.find(format.substr(at + 1, close - at - 1));
      if (!found)
        throw TemplateError{
            fmt::format("format: there is no key '{}'", format.substr(at + 1, close - at - 1))};
      value = *found;
      used = 1;
      at = close + 1;
    }
    for (; at < format.size() && std::string_view("-+ 0#").find(format[at]) != std::string_view::npos; ++at) {
      if (format[at] == '-')
        s.align = '<';
      else if (format[at] == '0' && s.align != '<') {
        s.align = '=';
        s.fill = "0";
      } else if (format[at] == '+' || format[at] == ' ')
        s.sign = format[at];
    }
    s.width = readNumber(format, at);
    if (at < format.size() && format[at] == '.')
      s.precision = readNumber(format, ++at);
    const char type = at < format.size() ? format[at++] : '\0';
    if (type == '%') {
      out += '%';
      continue;
    }
    if (value.isUndefined())
      value = take();
    s.type = type == 'i' || type == 'u' ? 'd' : type;
    if (type == 's' || type == 'r') {
      if (s.align == '=')
        s.align = 0, s.fill = " ";
      out += padded(cutTo(type == 's' ? value.str() : value.repr(), s.precision), s, '>');
    } else if (type && std::string_view("dxXoeEfFgG").find(s.type) != std::string_view::npos) {
      out += padded(digits(value, s), s, '>');
    } else {
      throw TemplateError{fmt::format("format: the conversion '%{}' is not supported", type)};
    }
    if (out.size() > textLimit)
      throw TemplateError{"a string is too long"};
  }
  if (!values.is(Kind::Dict) && used < (many ? values.items().size() : 1))
    throw TemplateError{"not all arguments were used by the format string"};
  return out;
}

namespace {

/// [[fill]align][sign][0][width][.precision][type]
std::string formatSpecified(const Value &value, std::string_view text) {
  Specification s;
  size_t at = 0;
  size_t second = 0;
  if (!text.empty())
    nextCodepoint(text, second);
  const auto isAlign = [&](size_t i) {
    return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
  };
  if (isAlign(second)) {
    s.fill = text.substr(0, second);
    s.align = text[second];
    at = second + 1;
  } else if (isAlign(0)) {
    s.align = text[at++];
  }
  if (at < text.size() && (text[at] == '+' || text[at] == ' '))
    s.sign = text[at++];
  if (at < text.size() && text[at] == '0') {
    s.fill = "0";
    s.align = s.align ? s.align : '=';
  }
  s.width = readNumber(text, at);
  if (at < text.size() && text[at] == '.')
    s.precision = readNumber(text, ++at);
  if (at < text.size())
    s.type = text[at++];
  const bool known = !s.type || std::string_view("sdxXoeEfFgG").find(s.type) != std::string_view::npos;
  if (at < text.size() || !known)
    throw TemplateError{fmt::format("format: the specification '{}' is not supported", text)};
  if (!s.type && value.isInteger() && !value.is(Kind::Bool))
    s.type = 'd';
  if (!s.type && value.is(Kind::Float) && s.precision >= 0)
    s.type = 'g';
  if (!s.type || s.type == 's')
    return padded(cutTo(value.str(), s.precision), s, value.isNumber() ? '>' : '<');
  return padded(digits(value, s), s, '>');
}

} // namespace

std::string formatBraces(std::string_view format, const Arguments &arguments) {
  std::string out;
  size_t automatic = 0;
  for (size_t at = 0; at < format.size();) {
    const char c = format[at++];
    if (c != '{' && c != '}') {
      out += c;
      continue;
    }
    if (at < format.size() && format[at] == c) {
      out += c;
      ++at;
      continue;
    }
    const size_t close = format.find('}', at);
    if (c == '}' || close == format.npos)
      throw TemplateError{fmt::format("format: a single '{}' stands in the text", c)};
    const std::string_view field = format.substr(at, close - at);
    at = close + 1;
    const size_t colon = std::min(field.find(':'), field.size());
    const std::string_view name = field.substr(0, colon);
    if (name.find_first_of(".[!") != name.npos || field.find('{') != field.npos)
      throw TemplateError{fmt::format("format: the field '{}' is not supported", field)};
    const Value *value = nullptr;
    size_t index = automatic, digit = 0;
    const bool numbered = !name.empty() && name[0] >= '0' && name[0] <= '9';
    if (numbered)
      index = size_t(readNumber(name, digit));
    else if (name.empty())
      ++automatic;
    if ((numbered || name.empty()) && index < arguments.positional.size())
      value = &arguments.positional[index];
    for (const auto &[known, given] : arguments.named)
      if (known == name)
        value = &given;
    if (!value)
      throw TemplateError{fmt::format("format: there is no argument for '{{{}}}'", name)};
    out += colon < field.size() ? formatSpecified(*value, field.substr(colon + 1)) : value->str();
    if (out.size() > textLimit)
      throw TemplateError{"a string is too long"};
  }
  return out;
}

} // namespace sinter::chat
