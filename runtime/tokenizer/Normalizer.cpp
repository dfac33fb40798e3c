// SPDX-License-Identifier: Apache-2.0
// The steps of normalisation. Unicode's normal forms come from utf8proc, called only for the parts of a text
// that can change.
#include "runtime/tokenizer/Normalizer.h"
#include "runtime/files/Utf8.h"
#include "runtime/tokenizer/Growth.h"
#include "runtime/tokenizer/Nfc.h"
#include "runtime/tokenizer/OlderUnicode.h"
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/tokenizer/Unicode.h"
#include <cstdlib>
#include <utf8proc.h>

namespace sinter {

using namespace unicode;

namespace {

void appendForm(std::string &out, std::string_view text, int options) {
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &result,
                                       static_cast<utf8proc_option_t>(options | UTF8PROC_STABLE));
  if (size >= 0)
    out.append(reinterpret_cast<const char *>(result), static_cast<size_t>(size));
  else
    out.append(text); // only for lack of memory: the text is valid UTF-8
  std::free(result);
}

/// The other forms: runs of ASCII stay; the character before such a run may take part in what follows it.
bool toForm(std::string_view text, std::string &out, int options) {
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    size_t begin = i > done ? i - 1 : i;
    while (i < text.size() && static_cast<unsigned char>(text[i]) >= 0x80) {
      Char c = decode(text.data() + i);
      if (options & UTF8PROC_COMPAT && isIn(keptCompatibility, c.code)) {
        out.append(text.substr(done, begin - done));
        appendForm(out, text.substr(begin, i - begin), options);
        out.append(text.substr(i, c.size));
        begin = done = i + c.size;
      }
      i += c.size;
    }
    out.append(text.substr(done, begin - done));
    appendForm(out, text.substr(begin, i - begin), options);
    done = i;
  }
  if (done == 0)
    return false;
  out.append(text.substr(done));
  return true;
}

void appendLower(std::string &out, uint32_t c) {
  if (c == 0x130) { // the only character whose lower case is two
    out += "i\xCC\x87";
    return;
  }
  // Rust's to_lowercase knows Unicode 17: capitals newer than utf8proc's.
  if (c >= 0x10D50 && c <= 0x10D65)
    c += 0x20;
  else if (c >= 0x16EA0 && c <= 0x16EB8)
    c += 0x1B;
  else if (c == 0xA7CB)
    c = 0x264;
  else if (c == 0xA7DC)
    c = 0x19B;
  else if (c == 0xA7CC || c == 0xA7CE || c == 0xA7D2 || c == 0xA7D4 || c == 0xA7DA || c == 0x1C89)
    c += 1;
  else
    c = static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  append(out, c);
}

bool replaceAll(std::string_view text, std::string_view from, std::string_view to, std::string &out) {
  size_t at = from.empty() ? text.npos : text.find(from);
  if (at == text.npos)
    return false;
  size_t done = 0;
  for (; at != text.npos; at = text.find(from, done)) {
    out.append(text.substr(done, at - done)).append(to);
    done = at + from.size();
  }
  out.append(text.substr(done));
  return true;
}

} // namespace

Result<Normalizer> Normalizer::open(const BlobHeader *blob, Growth &growth) {
  Normalizer result;
  result.steps = section<Step>(blob, Section::Normalizers);
  result.strings = section<char>(blob, Section::Text);
  std::span<const char> map = section<char>(blob, Section::CharsMap);
  if (!map.empty()) {
    uint32_t size = 0;
    if (map.size() >= 4)
      std::memcpy(&size, map.data(), 4);
    if (map.size() < 4 || size % 4 != 0 || size == 0 || size > map.size() - 4)
      return fail("precompiled charsmap: expected a trie of at most {} bytes, found {}", map.size(), size);
    result.mapUnits = map.subspan(4, size);
    result.mapTargets = {map.data() + 4 + size, map.size() - 4 - size};
    if (size_t good = validUtf8Prefix(result.mapTargets); good != result.mapTargets.size())
      return fail("precompiled charsmap: expected UTF-8, found an invalid byte at {}", 4 + size + good);
  }
  for (size_t i = 0; i < result.steps.size(); ++i) {
    const Step &step = result.steps[i];
    auto kind = static_cast<StepKind>(step.kind);
    if (kind > StepKind::ByteLevelText)
      return fail("tokenizer tables: expected a normalizer, found a step of kind {}", step.kind);
    if (kind == StepKind::CharsMap && map.empty())
      return fail("tokenizer tables: expected a charsmap for the Precompiled normalizer, found none");
    std::optional<Regex> regex;
    if (kind == StepKind::ReplaceRegex) {
      Result<Regex> compiled = Regex::compile(stepText(result.strings, step.aOffset, step.aSize));
      if (!compiled)
        return tl::unexpected(compiled.error());
      regex = *compiled;
    }
    result.regexes.push_back(regex);
    result.addGrowth(i, growth);
    if (Result<> checked = growth.check("normalizer", i, result.steps.size()); !checked)
      return tl::unexpected(checked.error());
  }
  return result;
}

void Normalizer::addGrowth(size_t index, Growth &growth) const {
  const Step &step = steps[index];
  std::string_view a = stepText(strings, step.aOffset, step.aSize),
                   b = stepText(strings, step.bOffset, step.bSize);
  switch (static_cast<StepKind>(step.kind)) {
  case StepKind::Nfc:
  case StepKind::Nfd:
  case StepKind::Nfkc:
  case StepKind::Nfkd:
  case StepKind::Lowercase:
    return growth.changeForm();
  case StepKind::Prepend:
    return growth.multiply(1.0 + static_cast<double>(a.size()));
  case StepKind::Replace:
    return growth.replace(a, b);
  case StepKind::ReplaceRegex: { // which may match between any two bytes
    const double size = static_cast<double>(b.size()),
                 least = static_cast<double>(regexes[index]->shortest());
    return growth.multiply(least > 0 ? std::max(1.0, size / least) : 1 + size);
  }
  case StepKind::CharsMap: {
    size_t longest = 1;
    for (size_t begin = 0; begin < mapTargets.size();) {
      size_t end = std::min(mapTargets.find('\0', begin), mapTargets.size());
      longest = std::max(longest, end - begin);
      begin = end + 1;
    }
    return growth.multiply(static_cast<double>(longest));
  }
  case StepKind::ByteLevelText:
    return growth.multiply(2);
  default: // the others take away
    return;
  }
}

std::string_view Normalizer::run(std::string_view text, std::string &a, std::string &b,
                                 bool &frontRemoved) const {
  std::string *out = &a, *other = &b;
  for (size_t i = 0; i < steps.size(); ++i) {
    out->clear();
    if (!apply(i, text, *out, frontRemoved))
      continue;
    text = *out;
    std::swap(out, other);
  }
  return text;
}

bool Normalizer::apply(size_t index, std::string_view text, std::string &out, bool &frontRemoved) const {
  const Step &step = steps[index];
  std::string_view a = stepText(strings, step.aOffset, step.aSize),
                   b = stepText(strings, step.bOffset, step.bSize);
  if (text.empty())
    return false;
  switch (static_cast<StepKind>(step.kind)) {
  case StepKind::Nfc:
    return composeCanonical(text, out);
  case StepKind::Nfd:
    return toForm(text, out, UTF8PROC_DECOMPOSE);
  case StepKind::Nfkc:
    return toForm(text, out, UTF8PROC_COMPOSE | UTF8PROC_COMPAT);
  case StepKind::Nfkd:
    return toForm(text, out, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT);
  case StepKind::Lowercase:
    for (size_t i = 0; i < text.size();) {
      Char c = decode(text.data() + i);
      appendLower(out, c.code);
      i += c.size;
    }
    return true;
  case StepKind::StripText: { // option: 1 left, 2 right
    size_t begin = 0, end = text.size();
    while (step.option & 1 && begin < end && category(decode(text.data() + begin).code) & Space)
      begin += charSize(text[begin]);
    while (step.option & 2 && end > begin &&
           category(decode(text.data() + charBefore(text, end)).code) & Space)
      end = charBefore(text, end);
    frontRemoved |= begin > 0;
    out.append(text.substr(begin, end - begin));
    return true;
  }
  case StepKind::StripAccents:
    for (size_t i = 0; i < text.size();) {
      Char c = decode(text.data() + i);
      if (category(c.code) & Mark ? isIn(keptMarks, c.code) : !isIn(droppedLetters, c.code))
        out.append(text.substr(i, c.size));
      else
        frontRemoved |= i == 0;
      i += c.size;
    }
    return true;
  case StepKind::Prepend:
    out.append(a).append(text);
    return true;
  case StepKind::Replace:
    return replaceAll(text, a, b, out);
  case StepKind::ReplaceRegex: {
    size_t done = 0;
    regexes[index]->forEach(text, [&](size_t begin, size_t end) {
      out.append(text.substr(done, begin - done)).append(b);
      done = end;
    });
    out.append(text.substr(done));
    return true;
  }
  case StepKind::CharsMap:
    mapChars(text, out);
    return true;
  default:
    appendByteAlphabet(out, text);
    return true;
  }
}

std::optional<std::string_view> Normalizer::lookUp(std::string_view text) const {
  // A darts-clone trie: offset in bits 10 and up (shifted by 8 if bit 9), leaf flag in bit 8, label in the
  // low byte.
  auto unit = [&](size_t i) {
    uint32_t u = 0x80000000u; // no label is equal to this
    if (i < mapUnits.size() / 4)
      std::memcpy(&u, mapUnits.data() + i * 4, 4);
    return u;
  };
  auto offset = [](uint32_t u) { return static_cast<size_t>(u >> 10) << ((u & 1u << 9) >> 6); };
  size_t node = offset(unit(0));
  for (char byte : text) {
    auto c = static_cast<unsigned char>(byte);
    if (c == 0)
      break;
    node ^= c;
    uint32_t u = unit(node);
    if ((u & 0x800000FFu) != c)
      return std::nullopt;
    node ^= offset(u);
    if (u >> 8 & 1) { // the shortest prefix counts, as in the crate spm_precompiled
      size_t target = unit(node) & 0x7FFFFFFF;
      if (target >= mapTargets.size() || isContinuation(mapTargets[target]))
        return std::nullopt;
      std::string_view rest = mapTargets.substr(target);
      return rest.substr(0, rest.find('\0'));
    }
  }
  return std::nullopt;
}

void Normalizer::mapChars(std::string_view text, std::string &out) const {
  for (size_t begin = 0; begin < text.size();) {
    // One grapheme cluster.
    Char c = decode(text.data() + begin);
    size_t end = begin + c.size;
    utf8proc_int32_t state = 0;
    while (end < text.size()) {
      Char d = decode(text.data() + end);
      if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(c.code),
                                           static_cast<utf8proc_int32_t>(d.code), &state))
        break;
      c = d;
      end += d.size;
    }
    std::string_view cluster = text.substr(begin, end - begin);
    std::optional<std::string_view> mapped = cluster.size() < 6 ? lookUp(cluster) : std::nullopt;
    if (mapped) {
      out += *mapped;
    } else {
      for (size_t i = 0; i < cluster.size();) {
        std::string_view one = cluster.substr(i, charSize(cluster[i]));
        out += lookUp(one).value_or(one);
        i += one.size();
      }
    }
    begin = end;
  }
}

} // namespace sinter
