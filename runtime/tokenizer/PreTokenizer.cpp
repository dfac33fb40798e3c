// SPDX-License-Identifier: Apache-2.0
// The steps of pre-tokenisation. Those that only cut make a new list of pieces; those that change text make a
// new text, too.
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/tokenizer/Growth.h"
#include "runtime/tokenizer/OlderUnicode.h"
#include <array>

namespace sinter {

using namespace unicode;

std::string_view stepText(std::span<const char> text, uint32_t offset, uint32_t size) {
  if (offset > text.size() || size > text.size() - offset)
    return {};
  return {text.data() + offset, size};
}

namespace {

struct ByteAlphabet {
  uint32_t toChar[256] = {};
  int toByte[0x180] = {};
  constexpr ByteAlphabet() {
    for (int &b : toByte)
      b = -1;
    uint32_t next = 0x100;
    for (uint32_t b = 0; b < 256; ++b) {
      bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      toChar[b] = printable ? b : next++;
      toByte[toChar[b]] = static_cast<int>(b);
    }
  }
};
constexpr ByteAlphabet alphabet;

bool isPunctuation(uint32_t c) {
  if (c < 128)
    return c > 32 && c < 127 && !(category(c) & (Letter | Number));
  return ((category(c) & Punctuation) && !isIn(notPunctuation, c)) || isIn(alsoPunctuation, c);
}

using Part = PreTokenizer::Scratch::Part;

/// Parts for every character that `is` holds for, and for what lies between them.
template <typename Is>
void matchChars(std::string_view text, size_t begin, size_t end, Is is, std::vector<Part> &parts) {
  size_t last = begin;
  for (size_t i = begin; i < end;) {
    Char c = decode(text.data() + i);
    if (is(c.code)) {
      if (last < i)
        parts.push_back({last, i, false});
      parts.push_back({i, i + c.size, true});
      last = i + c.size;
    }
    i += c.size;
  }
  if (last < end)
    parts.push_back({last, end, false});
}

/// Which parts become pieces, joined with which neighbours (NormalizedString::split).
void addPieces(std::vector<Part> &parts, Behaviour behaviour, const PreTokenizer::Piece &from,
               std::vector<PreTokenizer::Piece> &pieces) {
  size_t base = pieces.size();
  bool previous = false;
  auto push = [&](const Part &part) { pieces.push_back({part.begin, part.end, false}); };
  auto any = [&] { return pieces.size() > base; };
  if (behaviour == Behaviour::MergedWithNext) {
    size_t kept = parts.size(); // parts[kept..] are the result, filled from the back
    for (size_t i = parts.size(); i-- > 0;) {
      Part part = parts[i];
      if (part.match && !previous && kept < parts.size())
        parts[kept].begin = part.begin;
      else
        parts[--kept] = part;
      previous = part.match;
    }
    for (size_t i = kept; i < parts.size(); ++i)
      push(parts[i]);
  } else {
    for (const Part &part : parts) {
      bool join = (behaviour == Behaviour::Contiguous && part.match == previous) ||
                  (behaviour == Behaviour::MergedWithPrevious && part.match && !previous);
      if (join && any())
        pieces.back().end = part.end;
      else if (!(behaviour == Behaviour::Removed && part.match))
        push(part);
      previous = part.match;
    }
  }
  size_t kept = base;
  for (size_t i = base; i < pieces.size(); ++i)
    if (pieces[i].begin != pieces[i].end)
      pieces[kept++] = pieces[i];
  pieces.resize(kept);
  for (size_t i = base; i < pieces.size(); ++i)
    pieces[i].first = from.first && pieces[i].begin == from.begin;
}

} // namespace

void appendByteAlphabet(std::string &out, std::string_view bytes) {
  for (char b : bytes)
    unicode::append(out, alphabet.toChar[static_cast<unsigned char>(b)]);
}

int byteOfAlphabet(uint32_t c) { return c < 0x180 ? alphabet.toByte[c] : -1; }

Result<PreTokenizer> PreTokenizer::open(const BlobHeader *blob, Growth &growth) {
  PreTokenizer result;
  result.steps = section<Step>(blob, Section::PreTokenizers);
  result.strings = section<char>(blob, Section::Text);
  for (size_t i = 0; i < result.steps.size(); ++i) {
    const Step &step = result.steps[i];
    auto kind = static_cast<StepKind>(step.kind);
    if (kind < StepKind::AddPrefixSpace || kind > StepKind::ByteLevelMap)
      return fail("tokenizer tables: expected a pre-tokenizer, found a step of kind {}", step.kind);
    std::string_view a = stepText(result.strings, step.aOffset, step.aSize);
    if (kind == StepKind::Metaspace && a.empty())
      return fail("tokenizer tables: expected a replacement for Metaspace, found none");
    std::optional<Regex> regex;
    if (kind == StepKind::SplitRegex) {
      Result<Regex> compiled = Regex::compile(a);
      if (!compiled)
        return tl::unexpected(compiled.error());
      regex = *compiled;
    }
    result.regexes.push_back(regex);
    if (kind == StepKind::AddPrefixSpace || kind == StepKind::ByteLevelMap)
      growth.multiply(2);
    else if (kind == StepKind::Metaspace) // a piece gets one in front, if it does not begin with a space
      growth.multiply(1.0 + static_cast<double>(a.size()));
    if (Result<> checked = growth.check("pre-tokenizer", i, result.steps.size()); !checked)
      return tl::unexpected(checked.error());
  }
  result.early = result.steps.size();
  if (!result.steps.empty() && static_cast<StepKind>(result.steps.back().kind) == StepKind::Splitter) {
    result.lastSplitter = static_cast<SplitterKind>(result.steps.back().option);
    --result.early;
  }
  return result;
}

void PreTokenizer::metaspace(const Step &step, std::string_view text, const Piece &piece,
                             Scratch &scratch) const {
  std::string_view mark = stepText(strings, step.aOffset, step.aSize);
  std::string &out = scratch.nextText;
  size_t begin = out.size();
  std::string_view source = text.substr(piece.begin, piece.end - piece.begin);
  auto scheme = static_cast<PrependScheme>(step.option & 0xFF);
  bool marked = source.starts_with(mark) || source[0] == ' ';
  if (!marked && (scheme == PrependScheme::Always || (scheme == PrependScheme::First && piece.first)))
    out += mark;
  for (size_t i = 0; i < source.size();) {
    size_t space = std::min(source.find(' ', i), source.size());
    out += source.substr(i, space - i);
    if (space < source.size())
      out += mark;
    i = space + 1;
  }
  Piece whole{begin, out.size(), piece.first};
  if (!(step.option >> 8)) {
    scratch.nextPieces.push_back(whole);
    return;
  }
  scratch.parts.clear();
  size_t last = begin;
  for (size_t at = out.find(mark, begin); at != std::string::npos; at = out.find(mark, at + mark.size())) {
    if (last < at)
      scratch.parts.push_back({last, at, false});
    scratch.parts.push_back({at, at + mark.size(), true});
    last = at + mark.size();
  }
  if (last < out.size())
    scratch.parts.push_back({last, out.size(), false});
  addPieces(scratch.parts, Behaviour::MergedWithNext, whole, scratch.nextPieces);
}

void PreTokenizer::splitPiece(size_t index, std::string_view text, const Piece &piece,
                              Scratch &scratch) const {
  const Step &step = steps[index];
  std::vector<Part> &parts = scratch.parts;
  parts.clear();
  auto behaviour = static_cast<Behaviour>(step.option & 0xFF);
  auto chars = [&](auto is) { matchChars(text, piece.begin, piece.end, is, parts); };
  // Matches at [b, e) of the piece; what lies between them is a part, too.
  size_t last = piece.begin;
  auto add = [&](size_t b, size_t e) {
    if (last != b)
      parts.push_back({last, b, false});
    parts.push_back({b, e, true});
    last = e;
  };
  auto finish = [&] {
    if (last != piece.end)
      parts.push_back({last, piece.end, false});
    if (step.option >> 8)
      for (Part &part : parts)
        part.match = !part.match;
  };
  std::string_view source = text.substr(piece.begin, piece.end - piece.begin);
  switch (static_cast<StepKind>(step.kind)) {
  case StepKind::Splitter:
    split(static_cast<SplitterKind>(step.option), text, piece.begin, piece.end,
          [&](size_t b, size_t e) { parts.push_back({b, e, true}); });
    behaviour = Behaviour::Isolated;
    break;
  case StepKind::SplitRegex:
    regexes[index]->forEach(source, [&](size_t b, size_t e) { add(piece.begin + b, piece.begin + e); });
    finish();
    break;
  case StepKind::SplitString: {
    std::string_view wanted = stepText(strings, step.aOffset, step.aSize);
    if (!wanted.empty())
      for (size_t at = source.find(wanted); at != source.npos; at = source.find(wanted, at + wanted.size()))
        add(piece.begin + at, piece.begin + at + wanted.size());
    finish();
    break;
  }
  case StepKind::Digits:
    // Rust's is_numeric knows the digits of Unicode 17.
    chars([](uint32_t c) {
      return (category(c) & Number) != 0 || (c >= 0x11DE0 && c <= 0x11DE9) || (c >= 0x16FF4 && c <= 0x16FF6);
    });
    behaviour = step.option ? Behaviour::Isolated : Behaviour::Contiguous;
    break;
  case StepKind::WhitespaceSplit:
    chars([](uint32_t c) { return (category(c) & Space) != 0; });
    behaviour = Behaviour::Removed;
    break;
  case StepKind::Punctuation:
    chars(isPunctuation);
    break;
  case StepKind::Whitespace: // \w+|[^\w\s]+, what is between them removed
    for (size_t i = piece.begin; i < piece.end;) {
      Char c = decode(text.data() + i);
      int kind = isWord(c.code) ? 0 : category(c.code) & Space ? 1 : 2;
      size_t e = i;
      do {
        e += c.size;
        if (e == piece.end)
          break;
        c = decode(text.data() + e);
      } while ((isWord(c.code) ? 0 : category(c.code) & Space ? 1 : 2) == kind);
      parts.push_back({i, e, kind == 1});
      i = e;
    }
    behaviour = Behaviour::Removed;
    break;
  default:
    parts.push_back({piece.begin, piece.end, false});
    break;
  }
  addPieces(parts, behaviour, piece, scratch.nextPieces);
}

void PreTokenizer::apply(size_t index, std::string_view &text, Scratch &scratch) const {
  const Step &step = steps[index];
  scratch.nextPieces.clear();
  auto kind = static_cast<StepKind>(step.kind);
  bool rewrites =
      kind == StepKind::Metaspace || kind == StepKind::ByteLevelMap || kind == StepKind::AddPrefixSpace;
  if (!rewrites) {
    for (const Piece &piece : scratch.pieces)
      splitPiece(index, text, piece, scratch);
    std::swap(scratch.pieces, scratch.nextPieces);
    return;
  }
  scratch.nextText.clear();
  scratch.nextText.reserve(text.size() + text.size() / 4 + 16);
  for (const Piece &piece : scratch.pieces) {
    if (kind == StepKind::Metaspace) {
      metaspace(step, text, piece, scratch);
      continue;
    }
    size_t begin = scratch.nextText.size();
    std::string_view source = text.substr(piece.begin, piece.end - piece.begin);
    if (kind == StepKind::ByteLevelMap) {
      appendByteAlphabet(scratch.nextText, source);
    } else {
      if (source[0] != ' ')
        scratch.nextText += ' ';
      scratch.nextText += source;
    }
    scratch.nextPieces.push_back({begin, scratch.nextText.size(), piece.first});
  }
  std::swap(scratch.pieces, scratch.nextPieces);
  std::swap(scratch.text, scratch.nextText);
  text = scratch.text;
}

} // namespace sinter
