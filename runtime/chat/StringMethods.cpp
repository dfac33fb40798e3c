// SPDX-License-Identifier: Apache-2.0
// The methods of Python's str that do not change their object (none does), by name.
#include "runtime/chat/Builtins.h"
#include "runtime/chat/Text.h"
#include <algorithm>
#include <fmt/format.h>

namespace sinter::chat {

namespace {

using Kind = Value::Kind;
using Method = Value (*)(const std::string &text, const Arguments &given);

/// Line ends as str.splitlines knows them.
bool isLineEnd(uint32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

Value splitLines(const std::string &text, const Arguments &given) {
  const Bound bound("splitlines", given, {"keepends"});
  List lines;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = at;
    const uint32_t c = nextCodepoint(text, at);
    if (!isLineEnd(c))
      continue;
    if (c == '\r' && at < text.size() && text[at] == '\n')
      ++at;
    lines.push_back(Value::string(text.substr(begin, (bound.truth(0, false) ? at : end) - begin)));
    begin = at;
  }
  if (begin < text.size())
    lines.push_back(Value::string(text.substr(begin)));
  return Value::list(std::move(lines));
}

/// split() and split(None): at runs of whitespace.
List splitSpace(std::string_view text, int64_t most) {
  List parts;
  for (text = stripLeft(text); !text.empty(); text = stripLeft(text)) {
    if (most >= 0 && int64_t(parts.size()) == most) {
      parts.push_back(Value::string(std::string(text)));
      break;
    }
    size_t end = 0;
    for (size_t at = 0; at < text.size(); end = at)
      if (isSpace(nextCodepoint(text, at)))
        break;
    parts.push_back(Value::string(std::string(text.substr(0, end))));
    text.remove_prefix(end);
  }
  return parts;
}

List splitSpaceRight(std::string_view text, int64_t most) {
  List parts;
  for (text = stripRight(text); !text.empty(); text = stripRight(text)) {
    if (most >= 0 && int64_t(parts.size()) == most) {
      parts.insert(parts.begin(), Value::string(std::string(text)));
      break;
    }
    size_t begin = 0;
    for (size_t at = 0; at < text.size();)
      if (isSpace(nextCodepoint(text, at)))
        begin = at;
    parts.insert(parts.begin(), Value::string(std::string(text.substr(begin))));
    text = text.substr(0, begin);
  }
  return parts;
}

Value split(const std::string &text, const Arguments &given) {
  const Bound bound("split", given, {"sep", "maxsplit"});
  const int64_t most = bound.integer(1, -1);
  if (!bound.has(0) || bound[0].is(Kind::None))
    return Value::list(splitSpace(text, most));
  const std::string &separator = bound.text(0);
  if (separator.empty())
    throw TemplateError{"split: expected a separator that is not empty"};
  List parts;
  size_t begin = 0;
  for (size_t at;
       (most < 0 || int64_t(parts.size()) < most) && (at = text.find(separator, begin)) != text.npos;
       begin = at + separator.size())
    parts.push_back(Value::string(text.substr(begin, at - begin)));
  parts.push_back(Value::string(text.substr(begin)));
  return Value::list(std::move(parts));
}

Value splitRight(const std::string &text, const Arguments &given) {
  const Bound bound("rsplit", given, {"sep", "maxsplit"});
  const int64_t most = bound.integer(1, -1);
  if (!bound.has(0) || bound[0].is(Kind::None))
    return Value::list(splitSpaceRight(text, most));
  const std::string &separator = bound.text(0);
  if (separator.empty())
    throw TemplateError{"rsplit: expected a separator that is not empty"};
  List parts;
  std::string_view rest = text;
  for (size_t at; (most < 0 || int64_t(parts.size()) < most) && (at = rest.rfind(separator)) != rest.npos;
       rest = rest.substr(0, at))
    parts.insert(parts.begin(), Value::string(std::string(rest.substr(at + separator.size()))));
  parts.insert(parts.begin(), Value::string(std::string(rest)));
  return Value::list(std::move(parts));
}

enum class Side { Left, Right, Both };

template <Side side> Value strip(const std::string &text, const Arguments &given) {
  const Bound bound("strip", given, {"chars"});
  const bool spaces = !bound.has(0) || bound[0].is(Kind::None);
  std::string_view rest = text;
  if (side != Side::Right)
    rest = spaces ? stripLeft(rest) : stripLeft(rest, bound.text(0));
  if (side != Side::Left)
    rest = spaces ? stripRight(rest) : stripRight(rest, bound.text(0));
  return Value::string(std::string(rest));
}

/// The part of the text between the code points that arguments `index` and `index + 1` name.
std::string_view between(const std::string &text, const Bound &bound, size_t index) {
  const int64_t count = countCodepoints(text);
  const auto place = [&](size_t which, int64_t otherwise) {
    const int64_t at = bound.integer(which, otherwise);
    return std::clamp<int64_t>(at < 0 ? at + count : at, 0, count);
  };
  const size_t begin = byteOffset(text, place(index, 0)), end = byteOffset(text, place(index + 1, count));
  return std::string_view(text).substr(begin, end > begin ? end - begin : 0);
}

template <bool atEnd> Value hasAffix(const std::string &text, const Arguments &given) {
  const Bound bound(atEnd ? "endswith" : "startswith", given, {"affix", "start", "end"});
  const std::string_view part = between(text, bound, 1);
  const auto fits = [&](const std::string &affix) {
    return atEnd ? part.ends_with(affix) : part.starts_with(affix);
  };
  if (!bound[0].is(Kind::Tuple))
    return Value::boolean(fits(bound.text(0)));
  return Value::boolean(std::any_of(bound[0].items().begin(), bound[0].items().end(),
                                    [&](const Value &each) { return each.isString() && fits(each.text()); }));
}

template <bool fromRight, bool mustBe> Value find(const std::string &text, const Arguments &given) {
  const Bound bound(mustBe ? "index" : "find", given, {"sub", "start", "end"});
  const std::string_view part = between(text, bound, 1);
  const size_t at = fromRight ? part.rfind(bound.text(0)) : part.find(bound.text(0));
  if (at == part.npos) {
    if (mustBe)
      throw TemplateError{"substring not found"};
    return Value::integer(-1);
  }
  return Value::integer(
      countCodepoints(std::string_view(text).substr(0, size_t(part.data() - text.data()) + at)));
}

Value count(const std::string &text, const Arguments &given) {
  const Bound bound("count", given, {"sub", "start", "end"});
  const std::string_view part = between(text, bound, 1);
  const std::string &sub = bound.text(0);
  if (sub.empty())
    return Value::integer(countCodepoints(part) + 1);
  int64_t found = 0;
  for (size_t at = part.find(sub); at != part.npos; at = part.find(sub, at + sub.size()))
    ++found;
  return Value::integer(found);
}

Value replace(const std::string &text, const Arguments &given) {
  const Bound bound("replace", given, {"old", "new", "count"}, 2);
  return Value::string(replaceAll(text, bound.text(0), bound.text(1), bound.integer(2, -1)));
}

Value join(const std::string &text, const Arguments &given) {
  const Bound bound("join", given, {"iterable"});
  std::string out;
  bool first = true;
  for (const Value &each : iterate(bound[0])) {
    if (!each.isString())
      throw TemplateError{fmt::format("join: expected strings, found {}", each.typeName())};
    out += (std::exchange(first, false) ? "" : text) + each.text();
  }
  return Value::string(std::move(out));
}

Value format(const std::string &text, const Arguments &given) {
  return Value::string(formatBraces(text, given));
}

template <std::string (*change)(std::string_view)>
Value changed(const std::string &text, const Arguments &given) {
  Bound("string method", given, {});
  return Value::string(change(text));
}

/// True when the text is not empty and `is` holds for every code point.
template <bool (*is)(uint32_t)> Value all(const std::string &text, const Arguments &) {
  bool holds = !text.empty();
  for (size_t at = 0; at < text.size() && holds;)
    holds = is(nextCodepoint(text, at));
  return Value::boolean(holds);
}
bool isAlnum(uint32_t c) { return isAlpha(c) || isNumeric(c); }
bool isAscii(uint32_t c) { return c < 0x80; }

/// isupper and islower: no cased character of the other kind, and at least one of this.
template <bool (*is)(uint32_t), bool (*isNot)(uint32_t)>
Value cased(const std::string &text, const Arguments &) {
  bool some = false;
  for (size_t at = 0; at < text.size();) {
    const uint32_t c = nextCodepoint(text, at);
    if (isNot(c))
      return Value::boolean(false);
    some |= is(c);
  }
  return Value::boolean(some);
}

template <Side side> Value pad(const std::string &text, const Arguments &given) {
  const Bound bound("justify", given, {"width", "fillchar"});
  const int64_t missing =
      std::clamp<int64_t>(bound.integer(0, 0) - countCodepoints(text), 0, int64_t(textLimit));
  const std::string fill = bound.has(1) ? bound.text(1) : " ";
  // Python's center puts the odd one to the left when the width is odd.
  int64_t left = side == Side::Right ? missing : 0;
  if (side == Side::Both)
    left = missing / 2 + (missing & bound.integer(0, 0) & 1);
  std::string out;
  for (int64_t i = 0; i < left; ++i)
    out += fill;
  out += text;
  for (int64_t i = left; i < missing; ++i)
    out += fill;
  return Value::string(std::move(out));
}

Value fillZeros(const std::string &text, const Arguments &given) {
  const Bound bound("zfill", given, {"width"});
  const int64_t missing =
      std::clamp<int64_t>(bound.integer(0, 0) - countCodepoints(text), 0, int64_t(textLimit));
  const size_t sign = !text.empty() && (text[0] == '-' || text[0] == '+');
  return Value::string(text.substr(0, sign) + std::string(size_t(missing), '0') + text.substr(sign));
}

template <bool fromRight> Value partition(const std::string &text, const Arguments &given) {
  const Bound bound("partition", given, {"sep"});
  const std::string &separator = bound.text(0);
  if (separator.empty())
    throw TemplateError{"partition: expected a separator that is not empty"};
  const size_t at = fromRight ? text.rfind(separator) : text.find(separator);
  const auto three = [](std::string a, std::string b, std::string c) {
    return Value::tuple(
        {Value::string(std::move(a)), Value::string(std::move(b)), Value::string(std::move(c))});
  };
  if (at == text.npos)
    return fromRight ? three("", "", text) : three(text, "", "");
  return three(text.substr(0, at), separator, text.substr(at + separator.size()));
}

template <bool atEnd> Value removeAffix(const std::string &text, const Arguments &given) {
  const Bound bound("removeprefix", given, {"affix"});
  const std::string &affix = bound.text(0);
  if (atEnd)
    return Value::string(!affix.empty() && text.ends_with(affix) ? text.substr(0, text.size() - affix.size())
                                                                 : text);
  return Value::string(text.starts_with(affix) ? text.substr(affix.size()) : text);
}

constexpr std::pair<std::string_view, Method> methods[] = {
    {"capitalize", changed<capitalized>},
    {"casefold", changed<lowerCase>},
    {"center", pad<Side::Both>},
    {"count", count},
    {"endswith", hasAffix<true>},
    {"find", find<false, false>},
    {"format", format},
    {"index", find<false, true>},
    {"isalnum", all<isAlnum>},
    {"isalpha", all<isAlpha>},
    {"isascii",
     [](const std::string &text, const Arguments &given) {
       return text.empty() ? Value::boolean(true) : all<isAscii>(text, given);
     }},
    {"isdecimal", all<isDecimal>},
    {"isdigit", all<isDecimal>},
    {"islower", cased<isLower, isUpper>},
    {"isnumeric", all<isNumeric>},
    {"isspace", all<isSpace>},
    {"isupper", cased<isUpper, isLower>},
    {"join", join},
    {"ljust", pad<Side::Left>},
    {"lower", changed<lowerCase>},
    {"lstrip", strip<Side::Left>},
    {"partition", partition<false>},
    {"removeprefix", removeAffix<false>},
    {"removesuffix", removeAffix<true>},
    {"replace", replace},
    {"rfind", find<true, false>},
    {"rindex", find<true, true>},
    {"rjust", pad<Side::Right>},
    {"rpartition", partition<true>},
    {"rsplit", splitRight},
    {"rstrip", strip<Side::Right>},
    {"split", split},
    {"splitlines", splitLines},
    {"startswith", hasAffix<false>},
    {"strip", strip<Side::Both>},
    {"swapcase", changed<swappedCase>},
    {"title", changed<titleCase>},
    {"upper", changed<upperCase>},
    {"zfill", fillZeros},
};

} // namespace

Value stringMethod(const Value &text, std::string_view name) {
  for (const auto &[known, method] : methods)
    if (known == name)
      return Value::callable(std::string(name), [text, method = method](const Arguments &given) {
        return method(text.text(), given);
      });
  for (const char *other : {"encode", "expandtabs", "format_map", "isidentifier", "isprintable", "istitle",
                            "maketrans", "translate"})
    if (name == other)
      throw TemplateError{fmt::format("the string method '{}' is not supported", name)};
  return {};
}

} // namespace sinter::chat
