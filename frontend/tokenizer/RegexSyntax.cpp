// SPDX-License-Identifier: Apache-2.0
// One pass over the expression, copying what both dialects read alike.
#include "frontend/tokenizer/RegexSyntax.h"
#include <cctype>

namespace sinter {

namespace {

constexpr std::string_view space = "\\p{Z}\\t-\\r\\x{85}", hex = "0-9A-Fa-f";
constexpr std::string_view word = "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}"
                                  "\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}";

class Translator {
public:
  explicit Translator(std::string_view pattern) : pattern(pattern) {}
  Result<std::string> run();

private:
  Result<> escape(bool inSet);
  Result<> set(bool nested);
  void options();
  bool at(std::string_view text) const { return pattern.substr(i).starts_with(text); }
  tl::unexpected<Error> unsupported(std::string_view what) const {
    return fail("regular expression \"{}\": expected what PCRE2 can express, found {} at byte {}", pattern,
                what, i);
  }

  std::string_view pattern;
  std::string out;
  size_t i = 0;
};

Result<> Translator::escape(bool inSet) {
  if (i + 1 == pattern.size())
    return unsupported("a lone backslash");
  char c = pattern[i + 1];
  auto put = [&](std::string_view set, bool negated) {
    if (!inSet)
      out += negated ? "[^" : "[";
    out += set;
    if (!inSet)
      out += ']';
    i += 2;
  };
  if (inSet && (c == 'S' || c == 'W' || c == 'H'))
    return unsupported("a negated class inside a set");
  switch (c) {
  case 's':
  case 'S':
    put(space, c == 'S');
    return {};
  case 'w':
  case 'W':
    put(word, c == 'W');
    return {};
  case 'h':
  case 'H':
    put(hex, c == 'H');
    return {};
  case 'u':
    if (i + 6 > pattern.size())
      return unsupported("an incomplete \\u");
    out.append("\\x{").append(pattern.substr(i + 2, 4)).append("}");
    i += 6;
    return {};
  default:
    out += pattern.substr(i, 2);
    i += 2;
    return {};
  }
}

Result<> Translator::set(bool nested) {
  ++i;
  if (i < pattern.size() && pattern[i] == '^') {
    if (nested)
      return unsupported("a negated set inside a set");
    out += "[^";
    ++i;
  } else if (!nested) {
    out += '[';
  }
  bool first = true;
  for (; i < pattern.size(); first = false) {
    if (pattern[i] == ']' && !first) {
      ++i;
      if (!nested)
        out += ']';
      return {};
    }
    if (at("&&"))
      return unsupported("an intersection of sets");
    if (at("[:")) {
      size_t end = pattern.find(":]", i);
      if (end == pattern.npos)
        return unsupported("an incomplete class name");
      out += pattern.substr(i, end + 2 - i);
      i = end + 2;
    } else if (pattern[i] == '[') {
      if (Result<> done = set(true); !done)
        return done;
    } else if (pattern[i] == '\\') {
      if (Result<> done = escape(true); !done)
        return done;
    } else {
      if (pattern[i] == ']')
        out += '\\';
      out += pattern[i++];
    }
  }
  return unsupported("a set without an end");
}

void Translator::options() {
  // "(?imx-imx:" or "(?imx-imx)": Oniguruma's m is PCRE2's s.
  size_t end = i + 2;
  while (end < pattern.size() &&
         (std::isalpha(static_cast<unsigned char>(pattern[end])) || pattern[end] == '-'))
    ++end;
  bool flags = end < pattern.size() && (pattern[end] == ':' || pattern[end] == ')');
  for (; i < end; ++i)
    out += flags && pattern[i] == 'm' ? 's' : pattern[i];
}

Result<std::string> Translator::run() {
  while (i < pattern.size()) {
    if (pattern[i] == '\\') {
      if (Result<> done = escape(false); !done)
        return tl::unexpected(done.error());
    } else if (pattern[i] == '[') {
      if (Result<> done = set(false); !done)
        return tl::unexpected(done.error());
    } else if (at("(?")) {
      options();
    } else {
      out += pattern[i++];
    }
  }
  return out;
}

} // namespace

Result<std::string> translateRegex(std::string_view pattern) { return Translator(pattern).run(); }

} // namespace sinter
