// SPDX-License-Identifier: Apache-2.0
// The regular expressions that the byte-level tokenizers of known models split text with, each as a function
// that finds where the match at a position ends. Every one of them matches at every position, so a text is
// cut into matches without gaps. Checked against PCRE2 in test/runtime/tokenizer.
#ifndef SINTER_RUNTIME_TOKENIZER_SPLITTER_H
#define SINTER_RUNTIME_TOKENIZER_SPLITTER_H

#include "runtime/tokenizer/Unicode.h"
#include <string_view>

namespace sinter {

enum class SplitterKind : uint32_t { Gpt2, Llama3, Qwen2, Qwen35, O200k, Tekken, Cl100kAnyDigits, Count };

/// The expression a splitter stands for, as tokenizer.json files write it.
std::string_view splitterPattern(SplitterKind kind);
/// The splitter for an expression (some have several spellings); Count if there is none.
SplitterKind findSplitter(std::string_view pattern);

namespace splitter {

using namespace unicode;

enum class Contractions { None, LowerCase, AnyCase };
enum class Words { SpaceLetters, AnyLetters, AnyLettersMarks, Cased };

/// What tells one expression of the family from another.
struct Rules {
  Contractions contractions; // 's 't 're 've 'm 'll 'd, in front of all else; for Cased, behind a word
  Words words;               // " ?L+", "[^\r\nLN]?L+", "[^\r\nLN]?[LM]+", or o200k's two alternatives
  int digits;                // most digits a match; 0: any number, with a space in front
  bool newlines;             // "[\r\n]*" behind punctuation, and "\s*[\r\n]+"
  bool slash;                // "[\r\n/]*" behind punctuation
};

inline constexpr Rules gpt2{Contractions::LowerCase, Words::SpaceLetters, 0, false, false};
inline constexpr Rules llama3{Contractions::AnyCase, Words::AnyLetters, 3, true, false};
inline constexpr Rules qwen2{Contractions::AnyCase, Words::AnyLetters, 1, true, false};
inline constexpr Rules qwen35{Contractions::AnyCase, Words::AnyLettersMarks, 1, true, false};
inline constexpr Rules o200k{Contractions::AnyCase, Words::Cased, 3, true, true};
inline constexpr Rules tekken{Contractions::None, Words::Cased, 1, true, true};
inline constexpr Rules cl100kAnyDigits{Contractions::AnyCase, Words::AnyLetters, -1, true, false};

struct AsciiSets {
  Set set[128];
  constexpr AsciiSets() : set{} {
    for (uint32_t c = 0; c < 128; ++c)
      set[c] = 1u << (unicodeBlocks[unicodeIndex[0] * 128 + c] & 31);
  }
};
inline constexpr AsciiSets ascii;

struct Next {
  Set set; // category; 0 at the end of the text
  uint32_t size;
};
inline Next next(const char *p, const char *end) {
  if (p == end)
    return {0, 0};
  auto b = static_cast<unsigned char>(*p);
  if (b < 0x80)
    return {ascii.set[b], 1};
  Char c = decode(p);
  return {category(c.code), c.size};
}

/// Skips characters of `set`.
template <Set set> const char *skip(const char *p, const char *end) {
  for (;;) {
    Next n = next(p, end);
    if (!(n.set & set))
      return p;
    p += n.size;
  }
}

/// Bytes of the contraction at p (an apostrophe), or 0. Without case, s also matches U+017F (long s).
template <Contractions mode> size_t contraction(const char *p, const char *end) {
  if (end - p < 2)
    return 0;
  auto lower = [](char c) {
    return mode == Contractions::AnyCase && c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  };
  char a = lower(p[1]);
  if (a == 's' || a == 't' || a == 'm' || a == 'd')
    return 2;
  if (end - p < 3)
    return 0;
  char b = lower(p[2]);
  if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l'))
    return 3;
  if (mode == Contractions::AnyCase && p[1] == '\xC5' && p[2] == '\xBF')
    return 3;
  return 0;
}

inline bool isNewline(char c) { return c == '\r' || c == '\n'; }

/// White space at p: "\s*[\r\n]+" (with newlines), "\s+(?!\S)", "\s+".
template <bool newlines> const char *space(const char *p, const char *end) {
  const char *e = p, *last = p, *newline = nullptr;
  for (;;) {
    Next n = next(e, end);
    if (!(n.set & Space))
      break;
    if (newlines && isNewline(*e))
      newline = e + 1;
    last = e;
    e += n.size;
  }
  if (newlines && newline)
    return newline;
  return e == end || last == p ? e : last;
}

struct CasedWord {
  const char *end;
  bool lower; // by the first alternative: ends in the lower set
};
/// "[Lu Lt Lm Lo M]*[Ll Lm Lo M]+" or else "[Lu Lt Lm Lo M]+[Ll Lm Lo M]*" at p; end is p where neither
/// matches.
inline CasedWord casedWord(const char *p, const char *end) {
  constexpr Set upper = Lu | Lt | Lm | Lo | Mark, lower = Ll | Lm | Lo | Mark;
  const char *u = p, *both = nullptr; // both: behind the last character of the run that is in both sets
  for (;;) {
    Next n = next(u, end);
    if (!(n.set & upper))
      break;
    u += n.size;
    if (n.set & lower)
      both = u;
  }
  const char *l = skip<lower>(u, end);
  if (l != u)
    return {l, true};
  return both ? CasedWord{both, true} : CasedWord{u, false};
}

/// o200k's first two alternatives: "[^\r\nLN]?" and a cased word, then a contraction; p where they do not
/// match.
template <Rules rules> const char *cased(const char *p, const char *end, Next first) {
  const char *e = p;
  if (first.set & Letter) {
    e = casedWord(p, end).end;
  } else if (!(first.set & Number) && !isNewline(*p)) {
    CasedWord behind = casedWord(p + first.size, end);
    if (first.set & Mark && !behind.lower)
      e = casedWord(p, end)
              .end; // the first alternative without its optional character comes before the second
    else if (behind.end != p + first.size)
      e = behind.end;
  }
  if (e == p)
    return p;
  if (rules.contractions != Contractions::None && e != end && *e == '\'')
    e += contraction<rules.contractions>(e, end);
  return e;
}

template <Rules rules> const char *match(const char *p, const char *end) {
  constexpr Set word = rules.words == Words::AnyLettersMarks ? Letter | Mark : Letter;
  constexpr Set other = ~(Space | Number | word);
  Next first = next(p, end);
  if (rules.contractions != Contractions::None && rules.words != Words::Cased && *p == '\'')
    if (size_t size = contraction<rules.contractions>(p, end))
      return p + size;
  if constexpr (rules.words == Words::Cased) {
    const char *e = cased<rules>(p, end, first);
    if (e != p)
      return e;
  } else {
    if (first.set & word)
      return skip<word>(p + first.size, end);
    if constexpr (rules.words != Words::SpaceLetters) {
      if (!(first.set & Number) && !isNewline(*p)) {
        const char *e = skip<word>(p + first.size, end);
        if (e != p + first.size)
          return e;
      }
    }
  }
  if (first.set & Number) {
    if constexpr (rules.digits <= 0)
      return skip<Number>(p, end);
    const char *e = p + first.size;
    for (int i = 1; i < rules.digits; ++i) {
      Next n = next(e, end);
      if (!(n.set & Number))
        break;
      e += n.size;
    }
    return e;
  }
  const char *q = p;
  if (*p == ' ') {
    ++q;
    Next second = next(q, end);
    if constexpr (rules.words == Words::SpaceLetters)
      if (second.set & word)
        return skip<word>(q + second.size, end);
    if constexpr (rules.digits == 0)
      if (second.set & Number)
        return skip<Number>(q + second.size, end);
    if (!(second.set & other))
      return space<rules.newlines>(p, end);
  } else if (first.set & Space) {
    return space<rules.newlines>(p, end);
  }
  const char *e = skip<other>(q, end);
  if constexpr (rules.newlines)
    while (e != end && (isNewline(*e) || (rules.slash && *e == '/')))
      ++e;
  return e;
}

} // namespace splitter

/// Calls use(size_t begin, size_t end) for every match of `kind` in text[begin, end), in order.
template <typename Use>
void split(SplitterKind kind, std::string_view text, size_t begin, size_t end, Use use) {
  auto run = [&]<splitter::Rules rules>() {
    const char *base = text.data(), *p = base + begin, *stop = base + end;
    while (p != stop) {
      const char *e = splitter::match<rules>(p, stop);
      use(static_cast<size_t>(p - base), static_cast<size_t>(e - base));
      p = e;
    }
  };
  switch (kind) {
  case SplitterKind::Gpt2:
    return run.template operator()<splitter::gpt2>();
  case SplitterKind::Llama3:
    return run.template operator()<splitter::llama3>();
  case SplitterKind::Qwen2:
    return run.template operator()<splitter::qwen2>();
  case SplitterKind::Qwen35:
    return run.template operator()<splitter::qwen35>();
  case SplitterKind::O200k:
    return run.template operator()<splitter::o200k>();
  case SplitterKind::Tekken:
    return run.template operator()<splitter::tekken>();
  default:
    return run.template operator()<splitter::cl100kAnyDigits>();
  }
}

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_SPLITTER_H
