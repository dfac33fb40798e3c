// SPDX-License-Identifier: Apache-2.0
// One scanner a kind, tried only at the bytes that can begin or anchor it.
#include "runtime/data/PersonalData.h"
#include "runtime/data/Ascii.h"

#include <algorithm>
#include <array>

namespace sinter::data {
namespace {

struct Range {
  size_t begin, end; // begin == end: nothing
};

/// A mail address around the '@' at `at`; its name reaches back to `floor` at most.
Range emailAt(std::string_view text, size_t at, size_t floor) {
  auto inName = [](char c) {
    return isAsciiWord(c) || c == '.' || c == '_' || c == '%' || c == '+' || c == '-';
  };
  size_t begin = at, end = at + 1, dot = 0;
  while (begin > floor && at - begin < 64 && inName(text[begin - 1]))
    --begin;
  while (begin < at && !isAsciiWord(text[begin]))
    ++begin;
  while (end < text.size() && (isAsciiWord(text[end]) || text[end] == '-' || text[end] == '.')) {
    if (text[end] == '.')
      dot = end;
    ++end;
  }
  while (end > at + 1 && (text[end - 1] == '.' || text[end - 1] == '-')) {
    --end;
    dot = text.substr(0, end).rfind('.');
  }
  bool domain =
      dot != std::string_view::npos && dot > at + 1 && end - dot > 2 && !isAsciiDigit(text[end - 1]);
  return begin < at && domain ? Range{begin, end} : Range{at, at};
}

bool passesLuhn(std::string_view digits) {
  int sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    int d = digits[digits.size() - 1 - i] - '0';
    if (i & 1)
      d = d > 4 ? 2 * d - 9 : 2 * d;
    sum += d;
  }
  return sum % 10 == 0;
}

struct Number {
  Range range;
  Personal kind;
};

/// A phone or card number that begins at `at`, where no digit or letter stands before.
Number numberAt(std::string_view text, size_t at, unsigned kinds) {
  std::array<char, 24> digits;
  std::array<size_t, 24> group{}; // sizes of runs of digits
  size_t count = 0, groups = 0, end = at, i = at;
  bool plus = text[at] == '+', parenthesis = text[at] == '(';
  if (plus || parenthesis)
    ++i;
  for (size_t gap = 0; i < text.size() && count < digits.size(); ++i) {
    char c = text[i];
    if (isAsciiDigit(c)) {
      if (count == 0 || gap > 0)
        ++groups;
      gap = 0;
      digits[count++] = c;
      ++group[std::min<size_t>(groups, group.size()) - 1];
      end = i + 1;
    } else if ((c == ' ' || c == '-' || c == '.' || c == ')' || c == '(') && gap < 2 && count > 0) {
      ++gap;
    } else {
      break;
    }
  }
  Number none{{at, at}, Personal::Phone};
  if (end < text.size() && isAsciiWord(text[end]))
    return none;
  std::string_view all(digits.data(), count);
  bool even = groups == 1 || (groups == 4 && group[0] == 4 && group[1] == 4 && group[2] == 4) ||
              (groups == 3 && group[0] == 4 && group[1] == 6 && group[2] == 5);
  if (!plus && !parenthesis && kinds & 1u << int(Personal::Card) && count >= 13 && count <= 19 && even &&
      all[0] != '0' && passesLuhn(all))
    return {{at, end}, Personal::Card};
  if (!(kinds & 1u << int(Personal::Phone)))
    return none;
  bool international = plus && count >= 8 && count <= 15 && groups <= 6;
  bool chinese = !plus && !parenthesis && count == 11 && all[0] == '1' && all[1] >= '3' &&
                 (groups == 1 || (groups == 3 && group[0] == 3 && group[1] == 4));
  bool american = !plus && groups == 3 && count == 10 && group[0] == 3 && group[1] == 3 && all[0] >= '2';
  if (international || chinese || american)
    return {{at, end}, Personal::Phone};
  return none;
}

struct KeyPrefix {
  std::string_view prefix;
  size_t least; // characters behind it
};
constexpr KeyPrefix keyPrefixes[] = {
    {"AKIA", 16}, {"ASIA", 16},  {"ghp_", 36},  {"gho_", 36}, {"github_pat_", 22},
    {"sk-", 20},  {"xoxb-", 20}, {"xoxp-", 20}, {"AIza", 35},
};

Range keyAt(std::string_view text, size_t at) {
  std::string_view rest = text.substr(at);
  constexpr std::string_view pem = "-----BEGIN ";
  if (rest.starts_with(pem)) {
    size_t type = rest.substr(0, 64).find("PRIVATE KEY-----"), end = rest.find("-----END ");
    if (type == rest.npos || end == rest.npos)
      return {at, at};
    size_t close = rest.find("-----", end + 9);
    return {at, close == rest.npos ? at : at + close + 5};
  }
  for (const KeyPrefix &key : keyPrefixes) {
    if (!rest.starts_with(key.prefix))
      continue;
    size_t end = key.prefix.size();
    bool digit = false;
    while (end < rest.size() && (isAsciiWord(rest[end]) || rest[end] == '_' || rest[end] == '-'))
      digit |= isAsciiDigit(rest[end++]);
    if (digit && end >= key.prefix.size() + key.least)
      return {at, at + end};
  }
  return {at, at};
}

/// What a byte can be part of: 1 an address's '@', 2 the start of a number, 4 the start of a key.
constexpr auto starts = [] {
  std::array<uint8_t, 256> table{};
  table['@'] = 1;
  for (char c = '0'; c <= '9'; ++c)
    table[static_cast<size_t>(c)] = 2;
  table['+'] = table['('] = 2;
  for (char c : {'A', 'g', 's', 'x', '-'})
    table[static_cast<size_t>(c)] = 4;
  return table;
}();

} // namespace

bool maskPersonalData(std::string_view text, unsigned kinds, std::string &out, PersonalCounts &counts) {
  size_t done = 0;
  bool found = false;
  for (size_t i = 0; i < text.size(); ++i) {
    uint8_t kind = starts[static_cast<unsigned char>(text[i])];
    if (!kind)
      continue;
    Range range{i, i};
    Personal what = Personal::Email;
    bool inside = i > 0 && isAsciiWord(text[i - 1]); // of a word or number
    if (kind == 1) {
      if (kinds & 1u << int(Personal::Email))
        range = emailAt(text, i, done);
    } else if (kind == 2 && !inside) {
      Number number = numberAt(text, i, kinds);
      range = number.range;
      what = number.kind;
    } else if (kind == 4 && !inside && kinds & 1u << int(Personal::Key)) {
      range = keyAt(text, i);
      what = Personal::Key;
    }
    if (range.begin == range.end)
      continue;
    out.append(text.substr(done, range.begin - done));
    out.append("<").append(personalNames[size_t(what)]).append(">");
    ++counts.found[size_t(what)];
    found = true;
    done = range.end;
    i = done - 1;
  }
  if (found)
    out.append(text.substr(done));
  return found;
}

} // namespace sinter::data
