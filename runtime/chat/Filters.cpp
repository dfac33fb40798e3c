// SPDX-License-Identifier: Apache-2.0
// Filters of text and numbers.
#include "runtime/chat/Filters.h"
#include "runtime/chat/Text.h"
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fmt/format.h>
#include <optional>

namespace sinter::chat {

namespace {

using Kind = Value::Kind;

const Arguments none;

template <std::string (*change)(std::string_view)> Value changed(const Value &v, const Arguments &a) {
  Bound("filter", a, {});
  return Value::string(change(v.str()));
}

/// Jinja's own title: the first letter of each word, where words end at blanks, dashes and opening brackets.
std::string title(std::string_view text) {
  std::string out;
  bool first = true;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const uint32_t c = nextCodepoint(text, at);
    const std::string_view letter = text.substr(begin, at - begin);
    const bool separates = c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || isSpace(c);
    out += first && !separates ? upperCase(letter) : lowerCase(letter);
    first = separates;
  }
  return out;
}

std::string htmlEscaped(std::string_view text) {
  std::string out;
  for (char c : text)
    switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&#34;";
      break;
    case '\'':
      out += "&#39;";
      break;
    default:
      out += c;
    }
  return out;
}

Value absolute(const Value &v, const Arguments &) {
  if (v.isInteger() && v.asInteger() != INT64_MIN)
    return Value::integer(std::abs(v.asInteger()));
  if (v.is(Kind::Float))
    return Value::real(std::fabs(v.asReal()));
  throw TemplateError{fmt::format("abs: expected a number, found {}", v.typeName())};
}

/// int(text, base) of Python, without its prefixes for bases other than 2, 8 and 16.
std::optional<int64_t> parseInteger(std::string_view given, int base) {
  std::string digits;
  for (char c : stripLeft(stripRight(given)))
    if (c != '_')
      digits += c;
  size_t sign = !digits.empty() && (digits[0] == '-' || digits[0] == '+');
  if (digits.size() > sign + 1 && digits[sign] == '0' && (base == 16 || base == 8 || base == 2) &&
      std::isalpha(uint8_t(digits[sign + 1])))
    digits.erase(sign, 2);
  if (digits.size() <= sign || !std::isalnum(uint8_t(digits[sign])))
    return {};
  errno = 0;
  char *end;
  const long long number = std::strtoll(digits.c_str(), &end, base);
  return errno || *end ? std::nullopt : std::optional<int64_t>(number);
}

std::optional<double> parseReal(std::string_view given) {
  const std::string text(stripLeft(stripRight(given)));
  if (text.empty() || text.find_first_of("xXpP()") != text.npos)
    return {};
  char *end;
  const double number = std::strtod(text.c_str(), &end);
  return *end ? std::nullopt : std::optional<double>(number);
}

Value toInteger(const Value &v, const Arguments &a) {
  const Bound bound("int", a, {"default", "base"});
  std::optional<double> real;
  if (v.isInteger())
    return Value::integer(v.asInteger());
  if (v.isString()) {
    if (const std::optional<int64_t> number =
            parseInteger(v.text(), int(std::clamp<int64_t>(bound.integer(1, 10), 2, 36))))
      return Value::integer(*number);
    real = parseReal(v.text());
  } else if (v.is(Kind::Float)) {
    real = v.asReal();
  }
  if (real && std::fabs(*real) < 9.2e18)
    return Value::integer(int64_t(*real));
  return bound.has(0) ? bound[0] : Value::integer(0);
}

Value toReal(const Value &v, const Arguments &a) {
  const Bound bound("float", a, {"default"});
  if (v.isNumber())
    return Value::real(v.asReal());
  if (v.isString())
    if (const std::optional<double> number = parseReal(v.text()))
      return Value::real(*number);
  return bound.has(0) ? bound[0] : Value::real(0);
}

Value rounded(const Value &v, const Arguments &a) {
  const Bound bound("round", a, {"precision", "method"});
  const int64_t precision = bound.integer(0, 0);
  const std::string method = bound.has(1) ? bound.text(1) : "common";
  if (!v.isNumber())
    throw TemplateError{fmt::format("round: expected a number, found {}", v.typeName())};
  if (precision < 0 || precision > 300)
    throw TemplateError{fmt::format("round: expected a precision from 0 to 300, found {}", precision)};
  if (method == "common") {
    if (v.isInteger())
      return Value::integer(v.asInteger());
    return Value::real(std::strtod(fmt::format("{:.{}f}", v.asReal(), precision).c_str(), nullptr));
  }
  if (method != "ceil" && method != "floor")
    throw TemplateError{fmt::format("round: expected common, ceil or floor, found '{}'", method)};
  const double scale = std::pow(10.0, double(precision)), scaled = v.asReal() * scale;
  return Value::real((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value trim(const Value &v, const Arguments &a) {
  const Bound bound("trim", a, {"chars"});
  const std::string text = v.str();
  if (!bound.has(0) || bound[0].is(Kind::None))
    return Value::string(std::string(stripLeft(stripRight(text))));
  return Value::string(std::string(stripLeft(stripRight(text, bound.text(0)), bound.text(0))));
}

Value replace(const Value &v, const Arguments &a) {
  const Bound bound("replace", a, {"old", "new", "count"}, 2);
  return Value::string(replaceAll(v.str(), bound[0].str(), bound[1].str(), bound.integer(2, -1)));
}

Value otherwise(const Value &v, const Arguments &a) {
  const Bound bound("default", a, {"default_value", "boolean"});
  if (v.isUndefined() || (bound.truth(1, false) && !v.truth()))
    return bound.has(0) ? bound[0] : Value::string("");
  return v;
}

Value json(const Value &v, const Arguments &a) {
  const Bound bound("tojson", a, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensureAscii = bound.truth(0, false);
  style.sortKeys = bound.truth(3, false);
  if (bound.has(1) && !bound[1].is(Kind::None)) {
    style.multiline = true;
    style.indent = bound[1].isString()
                       ? bound[1].text()
                       : std::string(size_t(std::clamp<int64_t>(bound.integer(1, 0), 0, 100)), ' ');
    style.itemSeparator = ",";
  }
  if (bound.has(2) && !bound[2].is(Kind::None)) {
    const List two = iterate(bound[2]);
    if (two.size() != 2)
      throw TemplateError{fmt::format("tojson: expected 2 separators, found {}", two.size())};
    style.itemSeparator = two[0].str();
    style.keySeparator = two[1].str();
  }
  return Value::string(toJson(v, style));
}

Value indent(const Value &v, const Arguments &a) {
  const Bound bound("indent", a, {"width", "first", "blank"});
  const std::string by = bound.has(0) && bound[0].isString()
                             ? bound[0].text()
                             : std::string(size_t(std::clamp<int64_t>(bound.integer(0, 4), 0, 10000)), ' ');
  const bool blank = bound.truth(2, false);
  const Value lines = stringMethod(Value::string(v.str() + "\n"), "splitlines").function().call(none);
  std::string out = bound.truth(1, false) ? by : "";
  for (size_t i = 0; i < lines.items().size(); ++i) {
    const std::string &line = lines.items()[i].text();
    if (i)
      out += "\n" + (blank || !line.empty() ? by : "");
    out += line;
  }
  return Value::string(std::move(out));
}

Value center(const Value &v, const Arguments &a) {
  const Bound bound("center", a, {"width"});
  return stringMethod(Value::string(v.str()), "center")
      .function()
      .call({{Value::integer(bound.integer(0, 80))}, {}});
}

Value format(const Value &v, const Arguments &a) {
  if (a.named.empty())
    return Value::string(formatPercent(v.str(), Value::tuple(a.positional)));
  Entries entries;
  for (const auto &[name, value] : a.named)
    entries.emplace_back(Value::string(name), value);
  return Value::string(formatPercent(v.str(), Value::dict(std::move(entries))));
}

Value asText(const Value &v, const Arguments &) { return Value::string(v.str()); }

constexpr NamedFilter filters[] = {
    {"abs", absolute},
    {"capitalize", changed<capitalized>},
    {"center", center},
    {"d", otherwise},
    {"default", otherwise},
    {"e", changed<htmlEscaped>},
    {"escape", changed<htmlEscaped>},
    {"float", toReal},
    {"forceescape", changed<htmlEscaped>},
    {"format", format},
    {"indent", indent},
    {"int", toInteger},
    {"lower", changed<lowerCase>},
    {"replace", replace},
    {"round", rounded},
    {"safe", asText},
    {"string", asText},
    {"title", changed<title>},
    {"tojson", json},
    {"trim", trim},
    {"upper", changed<upperCase>},
};

} // namespace

std::span<const NamedFilter> scalarFilters() { return filters; }

Filter findFilter(std::string_view name) {
  for (std::span<const NamedFilter> table : {scalarFilters(), sequenceFilters()})
    for (const NamedFilter &each : table)
      if (each.name == name)
        return each.filter;
  return nullptr;
}

} // namespace sinter::chat
