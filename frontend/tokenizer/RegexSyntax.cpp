// SPDX-License-Identifier: Apache-2.0
// One pass over the expression, copying what both dialects read alike. What a repeat repeats is known by
// where it begins in the output, so that it can still be put in a group.
#include "frontend/tokenizer/RegexSyntax.h"
#include "runtime/tokenizer/Regex.h"
#include "runtime/tokenizer/Unicode.h"
#include "runtime/files/Utf8.h"
#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <vector>

namespace sinter {

namespace {

// The sets of Oniguruma's Unicode classes. \w has six more characters where it stands outside of sets.
constexpr std::string_view space = "\\p{Z}\\t-\\r\\x{85}", hex = "0-9A-Fa-f";
constexpr std::string_view word = "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}"
                                  "\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}";
constexpr std::string_view wordAlone = "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";

constexpr int maxNesting = 100; // PCRE2 takes 250 groups in groups

struct NamedClass {
  std::string_view name, set;
  std::string_view complement = {}; // where a set can hold it
};
constexpr NamedClass namedClasses[] = {
    {"alnum", "\\p{Alphabetic}\\p{Nd}"},
    {"alpha", "\\p{Alphabetic}", "\\P{Alphabetic}"},
    {"ascii", "\\x00-\\x7F"},
    {"blank", "\\p{Zs}\\t"},
    {"cntrl", "\\p{Cc}", "\\P{Cc}"},
    {"digit", "\\p{Nd}", "\\P{Nd}"},
    {"graph", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}"},
    {"lower", "\\p{Lowercase}", "\\P{Lowercase}"},
    {"print", "\\p{L}\\p{M}\\p{N}\\p{P}\\p{S}\\p{Cf}\\p{Co}\\p{Zs}"},
    {"punct", "\\p{P}\\p{S}"},
    {"space", space},
    {"upper", "\\p{Uppercase}", "\\P{Uppercase}"},
    {"word", word},
    {"xdigit", hex},
};

/// Whether a character in the range is the same as several without case (Unicode's CaseFolding.txt, status
/// F).
bool foldsToSeveral(uint32_t low, uint32_t high) {
  static constexpr std::pair<uint32_t, uint32_t> ranges[] = {
      {0xDF, 0xDF},     {0x130, 0x130},   {0x149, 0x149},   {0x1F0, 0x1F0},   {0x390, 0x390},
      {0x3B0, 0x3B0},   {0x587, 0x587},   {0x1E96, 0x1E9A}, {0x1E9E, 0x1E9E}, {0x1F50, 0x1F56},
      {0x1F80, 0x1FFC}, {0xFB00, 0xFB06}, {0xFB13, 0xFB17}};
  return std::ranges::any_of(ranges, [&](auto range) { return low <= range.second && high >= range.first; });
}

/// Whether the two next to each other are, or begin, what one character is without case.
bool foldsToOne(uint32_t first, uint32_t second) {
  auto lower = [](uint32_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c == 0x17F ? uint32_t{'s'} : c; };
  first = lower(first);
  second = lower(second);
  if (first < 0x80 && second < 0x80) {
    constexpr std::string_view pairs[] = {"ss", "st", "ff", "fi", "fl"};
    const char pair[] = {static_cast<char>(first), static_cast<char>(second)};
    return std::ranges::find(pairs, std::string_view(pair, 2)) != std::end(pairs);
  }
  // Letters with marks or a small iota, the n after an apostrophe, and Armenian ligatures.
  bool mark = (second >= 0x300 && second <= 0x345) || second == 0x2BE;
  bool iota = second == 0x3B9 || second == 0x399 || second == 0x1FBE;
  bool armenian = first >= 0x531 && first <= 0x586 && second >= 0x531 && second <= 0x586;
  return mark || iota || armenian || first == 0x2BC;
}

class Translator {
public:
  explicit Translator(std::string_view pattern) : pattern(pattern) {}
  Result<std::string> run();

private:
  struct Options {
    bool caseless = false, extended = false;
  };
  struct Group {
    size_t start;    // in the output
    Options outside; // the options to go back to
    int inner = 0;   // groups that options without a group opened
  };

  Result<> one();
  Result<> escape(bool inSet);
  Result<> hexadecimal(bool inSet);
  Result<> property(char kind);
  Result<> set(bool nested);
  Result<> namedClass();
  Result<> literal(uint32_t code);
  Result<> literalInSet(uint32_t code);
  bool repeat();
  void openGroup();
  void closeGroup();
  void comment(char end);

  bool at(std::string_view text) const { return pattern.substr(i).starts_with(text); }
  char peek(size_t ahead = 0) const { return i + ahead < pattern.size() ? pattern[i + ahead] : '\0'; }
  /// The bounds of {n}, {n,}, {n,m} or {,n} at i, and where it ends.
  struct Interval {
    std::string_view least, most;
    bool exact;
    size_t end;
  };
  std::optional<Interval> interval() const;
  void beginAtom() {
    atom = out.size();
    repeats = 0;
    before.reset();
  }
  tl::unexpected<Error> unsupported(std::string_view what) const {
    return fail("regular expression \"{}\": expected what PCRE2 can express, found {} at byte {}", pattern,
                what, i);
  }

  std::string_view pattern;
  std::string out;
  size_t i = 0;
  std::vector<Group> groups{{0, {}}}; // the innermost last; the first is the whole expression
  Options options;
  std::optional<size_t> atom;     // where what a repeat would repeat begins in the output
  int repeats = 0;                // whether the atom has a repeat
  std::optional<uint32_t> before; // the literal before, without a repeat
  std::optional<uint32_t> range;  // in sets: the literal before
  bool ranged = false;            // in sets: a '-' follows it
  bool negatedSet = false;
  int depth = 0; // of sets in sets
};

Result<> Translator::literal(uint32_t code) {
  bool follows = before && peek() != '*' && peek() != '+' && peek() != '?' && !interval();
  if (options.caseless && (foldsToSeveral(code, code) || (follows && foldsToOne(*before, code))))
    return unsupported("text without case that one character and several spell, before the place");
  before = code;
  return {};
}

Result<> Translator::literalInSet(uint32_t code) {
  uint32_t low = ranged && range ? *range : code;
  if (options.caseless && !negatedSet && foldsToSeveral(low, code))
    return unsupported("a set without case with a character that several spell, before the place");
  range = code;
  ranged = false;
  return {};
}

/// \p{...} or \P{...}. A script's name means the script alone to Oniguruma, with its extensions to PCRE2.
Result<> Translator::property(char kind) {
  size_t end = pattern.find('}', i);
  if (peek(2) != '{' || end == pattern.npos)
    return unsupported("a property without a name");
  std::string_view name = pattern.substr(i + 3, end - i - 3);
  bool negated = (kind == 'P') != name.starts_with('^');
  name.remove_prefix(name.starts_with('^'));
  std::string script = fmt::format("\\{}{{sc:{}}}", negated ? 'P' : 'p', name);
  out += Regex::compile(script) ? script : fmt::format("\\{}{{{}}}", negated ? 'P' : 'p', name);
  i = end + 1;
  return {};
}

/// \uHHHH, \xHH or \x{H...}.
Result<> Translator::hexadecimal(bool inSet) {
  bool braced = pattern[i + 1] == 'x' && peek(2) == '{';
  size_t start = i + (braced ? 3 : 2), most = braced ? 8 : pattern[i + 1] == 'u' ? 4 : 2, end = start;
  while (end < pattern.size() && end - start < most &&
         std::isxdigit(static_cast<unsigned char>(pattern[end])))
    ++end;
  bool closed = !braced || (end < pattern.size() && pattern[end] == '}');
  if (end == start || !closed || (pattern[i + 1] == 'u' && end - start < most))
    return unsupported(fmt::format("an incomplete \\{}", pattern[i + 1]));
  uint32_t code = 0;
  std::from_chars(pattern.data() + start, pattern.data() + end, code, 16);
  out.append("\\x{").append(pattern.substr(start, end - start)).append("}");
  i = end + braced;
  return inSet ? literalInSet(code) : literal(code);
}

Result<> Translator::escape(bool inSet) {
  if (i + 1 == pattern.size())
    return unsupported("a lone backslash");
  char c = pattern[i + 1];
  auto put = [&](std::string_view set, bool negated, std::string_view more = {}) {
    if (!inSet)
      (out += negated ? "[^" : "[") += more;
    out += set;
    if (!inSet)
      out += ']';
    i += 2;
  };
  auto putText = [&](std::string_view text) {
    out += text;
    i += 2;
  };
  if (inSet && !(ranged && (c == 'u' || c == 'x')))
    range.reset();
  if (inSet && (c == 'S' || c == 'W' || c == 'H'))
    return unsupported("a negated class inside a set");
  switch (c) {
  case 's':
  case 'S':
    put(space, c == 'S');
    return {};
  case 'w':
  case 'W':
    put(word, c == 'W', wordAlone);
    return {};
  case 'h':
  case 'H':
    put(hex, c == 'H');
    return {};
  case 'v':
    putText("\\x0B");
    return {};
  case 'p':
  case 'P':
    return property(c);
  case 'b':
  case 'B': {
    if (inSet) {
      putText(pattern.substr(i, 2));
      return {};
    }
    std::string is = fmt::format("[{}{}])", wordAlone, word);
    putText(c == 'b' ? fmt::format("(?:(?<={0}(?!{0}|(?<!{0}(?={0})", is)
                     : fmt::format("(?:(?<={0}(?={0}|(?<!{0}(?!{0})", is));
    return {};
  }
  case 'O':
    if (inSet)
      break;
    putText("(?s:.)");
    return {};
  case 'C':
  case 'M':
  case 'X': // PCRE2 10.42 joins emoji
  case 'y':
  case 'Y':
    if (inSet && c != 'C' && c != 'M')
      break;
    return unsupported(fmt::format("\\{}", c));
  case 'u':
  case 'x':
    return hexadecimal(inSet);
  default:
    break;
  }
  constexpr std::string_view known = "tnrfaedDAZzGkgRKNc"; // to both
  bool isLetter = std::isalpha(static_cast<unsigned char>(c));
  if (isLetter && known.find(c) == known.npos) { // a letter that is no escape to Oniguruma is itself
    putText(std::string_view(&c, 1));
    return inSet ? literalInSet(static_cast<unsigned char>(c)) : literal(static_cast<unsigned char>(c));
  }
  if (!(static_cast<unsigned char>(c) & 0x80)) {
    putText(pattern.substr(i, 2));
    return {};
  }
  ++i; // the character behind follows as any other
  return {};
}

/// [:name:] or [:^name:].
Result<> Translator::namedClass() {
  size_t end = pattern.find(":]", i + 2);
  if (end == pattern.npos)
    return unsupported("an incomplete class name");
  std::string_view name = pattern.substr(i + 2, end - i - 2);
  bool negated = name.starts_with('^');
  name.remove_prefix(negated);
  for (const NamedClass &known : namedClasses)
    if (known.name == name) {
      if (negated && known.complement.empty())
        return unsupported("a negated class inside a set");
      out += negated ? known.complement : known.set;
      i = end + 2;
      return {};
    }
  return unsupported(fmt::format("the class [:{}:]", name));
}

Result<> Translator::set(bool nested) {
  if (nested && ++depth > maxNesting)
    return unsupported(fmt::format("more than {} sets inside sets", maxNesting));
  ++i;
  bool negated = peek() == '^';
  if (negated && nested)
    return unsupported("a negated set inside a set");
  if (!nested) {
    out += negated ? "[^" : "[";
    negatedSet = negated;
  }
  i += negated;
  range.reset();
  ranged = false;
  for (bool first = true; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) {
      ++i;
      if (!nested)
        out += ']';
      depth -= nested;
      return {};
    }
    if (at("&&"))
      return unsupported("an intersection of sets");
    Result<> done;
    if (at("[:")) {
      done = namedClass();
    } else if (pattern[i] == '[') {
      done = set(true);
    } else if (pattern[i] == '\\') {
      done = escape(true);
    } else if (pattern[i] == '-' && range && !ranged) {
      out += pattern[i++];
      ranged = true;
    } else {
      if (pattern[i] == ']')
        out += '\\';
      unicode::Char c = unicode::decode(pattern.data() + i);
      out += pattern.substr(i, c.size);
      i += c.size;
      done = literalInSet(c.code);
    }
    if (!done)
      return done;
  }
  return unsupported("a set without an end");
}

std::optional<Translator::Interval> Translator::interval() const {
  if (peek() != '{')
    return std::nullopt;
  size_t end = i + 1;
  auto digits = [&] {
    size_t start = end;
    while (end < pattern.size() && std::isdigit(static_cast<unsigned char>(pattern[end])))
      ++end;
    return pattern.substr(start, end - start);
  };
  Interval found{.least = digits(), .most = {}, .exact = true, .end = 0};
  if (end < pattern.size() && pattern[end] == ',') {
    ++end;
    found.exact = false;
    found.most = digits();
  }
  if (end >= pattern.size() || pattern[end] != '}' || (found.least.empty() && found.most.empty()))
    return std::nullopt;
  found.end = end + 1;
  return found;
}

/// Copies one repeat, with the sign behind it that belongs to it. False: none is here.
bool Translator::repeat() {
  std::optional<Interval> bounds = interval();
  bool sign = peek() == '*' || peek() == '+' || peek() == '?';
  if (!bounds && !sign)
    return false;
  if (repeats++ && atom) { // a repeat of a repeat, which PCRE2 reads otherwise or not at all
    out.insert(*atom, "(?:");
    out += ')';
  }
  before.reset();
  if (sign) {
    out += pattern[i++];
    if (peek() == '?' || peek() == '+')
      out += pattern[i++];
    return true;
  }
  out += '{';
  out += bounds->least.empty() ? "0" : bounds->least;
  if (!bounds->exact)
    (out += ',') += bounds->most;
  out += '}';
  i = bounds->end;
  if (!bounds->exact && peek() == '?')
    out += pattern[i++];
  return true;
}

/// "(", "(?:", "(?=", "(?<name>", "(?imx-imx:" or "(?imx-imx)": Oniguruma's m is PCRE2's s.
void Translator::openGroup() {
  size_t start = out.size();
  Options outside = options;
  if (!at("(?")) {
    out += pattern[i++];
    groups.push_back({start, outside});
    return;
  }
  size_t end = i + 2;
  while (end < pattern.size() &&
         (std::isalpha(static_cast<unsigned char>(pattern[end])) || pattern[end] == '-'))
    ++end;
  bool flags = end < pattern.size() && (pattern[end] == ':' || pattern[end] == ')');
  bool alone = flags && pattern[end] == ')';
  for (bool on = true; i < end; ++i) {
    char c = pattern[i];
    out += flags && c == 'm' ? 's' : c;
    if (!flags)
      continue;
    on = on && c != '-';
    if (c == 'i')
      options.caseless = on;
    else if (c == 'x')
      options.extended = on;
  }
  if (alone) { // to Oniguruma a group up to the end of this one
    out += ':';
    ++i;
    ++groups.back().inner;
    return;
  }
  // Lookaround and names have a sign here, which is no repeat and no literal.
  if (i < pattern.size() && std::ispunct(static_cast<unsigned char>(pattern[i]))) {
    bool lookBehind = at("<=") || at("<!");
    out += pattern[i++];
    if (lookBehind)
      out += pattern[i++];
    else if (out.back() == '<' || out.back() == '\'')
      for (bool name = true; name && i < pattern.size(); ++i) {
        name = pattern[i] != '>' && pattern[i] != '\'';
        out += pattern[i];
      }
  }
  groups.push_back({start, outside});
}

void Translator::closeGroup() {
  out.append(static_cast<size_t>(groups.back().inner), ')');
  out += pattern[i++];
  if (groups.size() == 1)
    return; // PCRE2 says what is wrong
  options = groups.back().outside;
  beginAtom();
  atom = groups.back().start;
  groups.pop_back();
}

void Translator::comment(char end) {
  while (i < pattern.size() && pattern[i] != end)
    ++i;
  i += i < pattern.size();
}

Result<> Translator::one() {
  char c = pattern[i];
  if (at("(?#")) {
    comment(')');
    return {};
  }
  if (options.extended && c == '#') {
    comment('\n');
    return {};
  }
  if (options.extended && std::isspace(static_cast<unsigned char>(c))) {
    ++i;
    return {};
  }
  if (repeats > maxNesting)
    return unsupported(fmt::format("more than {} repeats of repeats", maxNesting));
  if (repeat())
    return {};
  if (c == ')') {
    closeGroup();
    return {};
  }
  if (c == '(' || c == '|') {
    atom.reset();
    before.reset();
    if (c == '(')
      openGroup();
    else
      out += pattern[i++];
    return {};
  }
  std::optional<uint32_t> literalBefore = before;
  beginAtom();
  if (c == '[')
    return set(false);
  if (c == '\\') {
    before = literalBefore;
    size_t start = out.size();
    Result<> done = escape(false);
    if (bool isLiteral = std::string_view(out).substr(start).starts_with("\\x{"); !isLiteral)
      before.reset();
    return done;
  }
  if (c == '.' || c == '^' || c == '$') {
    out += pattern[i++];
    return {};
  }
  unicode::Char decoded = unicode::decode(pattern.data() + i);
  out += c == '{' ? std::string_view("\\{") : pattern.substr(i, decoded.size);
  i += decoded.size;
  before = literalBefore;
  return literal(decoded.code);
}

Result<std::string> Translator::run() {
  if (size_t good = validUtf8Prefix(pattern); good != pattern.size())
    return fail("regular expression \"{}\": expected UTF-8, found an invalid byte at {}", pattern, good);
  while (i < pattern.size())
    if (Result<> done = one(); !done)
      return tl::unexpected(done.error());
  out.append(static_cast<size_t>(groups.front().inner), ')');
  return out;
}

} // namespace

Result<std::string> translateRegex(std::string_view pattern) { return Translator(pattern).run(); }

} // namespace sinter
