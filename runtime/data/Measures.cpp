// SPDX-License-Identifier: Apache-2.0
// Words, lines and n-grams. N-grams of n + 1 are only looked at where those of n have been found to repeat,
// so that text without repetitions costs little more than one pass.
#include "runtime/data/Measures.h"
#include "runtime/data/Ascii.h"
#include "runtime/data/AsciiBlock.h"
#include "runtime/data/Hash.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace sinter::data {
namespace {

using namespace unicode;

bool isIdeographic(uint32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3040 && c <= 0x30FF) || (c >= 0x3400 && c <= 0x4DBF) ||
         (c >= 0x20000 && c <= 0x323AF) || (c >= 0xF900 && c <= 0xFAFF);
}

/// Or beyond ASCII.
bool isWordByte(char c) { return isAsciiWord(c) || static_cast<signed char>(c) < 0; }

/// What a byte of a word says; EndsAscii: white space or the lead of a longer character.
enum ByteClass : unsigned char { HasLetter = 1, HasDigit = 2, HasMark = 4, WhiteSpace = 8, EndsAscii = 16 };
constexpr auto classOf = [] {
  std::array<unsigned char, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    char byte = static_cast<char>(c);
    classes[static_cast<size_t>(c)] = static_cast<unsigned char>(c >= 0x80            ? EndsAscii
                                                                 : isAsciiSpace(byte) ? WhiteSpace | EndsAscii
                                                                 : isAsciiLetter(byte)        ? HasLetter
                                                                 : isAsciiDigit(byte)         ? HasDigit
                                                                 : byte == '#' || byte == '.' ? HasMark
                                                                                              : 0);
  }
  return classes;
}();

/// Which of Gopher's stop words a word in lower case is, a bit each. Four bytes must be readable.
uint32_t stopWords(const char *word, size_t size) {
  constexpr auto four = [](std::string_view text) {
    uint32_t key = 0;
    for (size_t i = 0; i < text.size(); ++i)
      key |= uint32_t{static_cast<unsigned char>(text[i])} << 8 * i;
    return static_cast<int>(key);
  };
  const __m256i words = _mm256_setr_epi32(four("the"), four("be"), four("to"), four("of"), four("and"),
                                          four("that"), four("have"), four("with"));
  uint32_t key;
  std::memcpy(&key, word, 4);
  constexpr std::array<uint32_t, 6> bytes = {0,        0,          0xFFFF,
                                             0xFFFFFF, 0xFFFFFFFF, 0}; // of sizes that a stop word has
  key &= bytes[std::min<size_t>(size, 5)];
  __m256i equal = _mm256_cmpeq_epi32(words, _mm256_set1_epi32(static_cast<int>(key)));
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(equal)));
}

/// The most frequent function characters of Chinese; Gopher's list names the like of English.
int stopCharacter(uint32_t c) {
  constexpr uint32_t characters[] = {0x7684, 0x4E00, 0x662F, 0x4E86, 0x5728, 0x4E0D, 0x6709, 0x548C};
  for (int i = 0; i < 8; ++i)
    if (c == characters[i])
      return i;
  return -1;
}

/// Without ASCII white space.
uint64_t countCharacters(std::string_view text) {
  uint64_t count = 0;
  for (char c : text)
    count += !isContinuation(c) && !isAsciiSpace(c);
  return count;
}

bool endsSentence(std::string_view line) {
  for (std::string_view mark :
       {".", "!", "?", "\"", "\xE3\x80\x82", "\xEF\xBC\x81", "\xEF\xBC\x9F", "\xE2\x80\x9D", "\xE2\x80\xA6",
        "\xEF\xBC\x9B", "\xE3\x80\x8D", "\xEF\xBC\x9A"})
    if (line.ends_with(mark))
      return true;
  return false;
}

double share(double part, double whole) { return whole > 0 ? part / whole : 0; }

} // namespace

void Measurer::Table::clear(size_t capacity) {
  size_t size = 64;
  while (size < 2 * capacity)
    size *= 2;
  if (slots.size() < size)
    slots.assign(size, {});
  mask = size - 1;
  if (++round == 0) {
    std::ranges::fill(slots, Slot{});
    round = 1;
  }
}

uint32_t &Measurer::Table::operator[](uint64_t key) {
  for (size_t at = mix64(key) & mask;; at = (at + 1) & mask) {
    Slot &slot = slots[at];
    if (slot.round != round) {
      slot = {key, 0, round};
      return slot.count;
    }
    if (slot.key == key)
      return slot.count;
  }
}

void Measurer::findUnits(std::string_view text) {
  hashes.clear();
  lengths.clear();
  uint64_t ideographs = 0, words = 0, wordCharacters = 0, alphabetic = 0, symbols = 0, sentences = 0;
  uint32_t stopSeen = 0, stopCharacters = 0;
  std::array<char, 64> lowered{};
  const char *p = text.data(), *end = p + text.size();
  auto addUnit = [&](const char *word, size_t size, size_t characters) {
    hashes.push_back(hash64({word, size}));
    lengths.push_back(static_cast<uint32_t>(characters));
  };
  // Takes the word that 32 bytes begin with, if white space ends it there and it is ASCII: gives its size, or
  // 0. Does what the general case below does, without branches on what the word is.
  auto takeAsciiWord = [&](const char *at) -> size_t {
    const AsciiBlock block(at);
    const uint32_t spaces = block.areSpaces(), inside = (spaces ^ (spaces - 1)) >> 1;
    if (spaces == 0 || block.areBeyondAscii() & inside)
      return 0;
    const auto size = static_cast<size_t>(std::countr_zero(spaces));
    const uint32_t letters = block.areLetters() & inside, dots = block.are('.') & inside;
    symbols +=
        static_cast<uint64_t>(std::popcount(block.are('#') & inside)) + ((dots & dots >> 1 & dots >> 2) != 0);
    sentences += (dots | block.are('!') | block.are('?')) >> (size - 1) & 1;
    ++words;
    wordCharacters += size;
    alphabetic += letters != 0;
    if (const uint32_t core = letters | (block.areDigits() & inside)) {
      const auto first = static_cast<size_t>(std::countr_zero(core)),
                 last = static_cast<size_t>(std::bit_width(core));
      block.lower(lowered.data());
      stopSeen |= stopWords(lowered.data() + first, last - first);
      addUnit(lowered.data() + first, last - first, size);
    }
    return size;
  };
  while (p != end) {
    if (isAsciiSpace(*p)) {
      ++p;
      continue;
    }
    if (static_cast<size_t>(end - p) >= AsciiBlock::size)
      if (size_t size = takeAsciiWord(p)) {
        p += size + 1;
        continue;
      }
    // A word: up to white space or an ideograph.
    const char *begin = p;
    unsigned seen = 0; // classes of its characters
    uint32_t ideograph = 0;
    size_t size = 0, count = 0;
    while (p != end) {
      const char *ascii = p;
      unsigned kind = 0;
      while (p != end && !((kind = classOf[static_cast<unsigned char>(*p)]) & EndsAscii)) {
        seen |= kind;
        ++p;
      }
      count += static_cast<size_t>(p - ascii);
      if (p == end || kind & WhiteSpace)
        break;
      Char c = decode(p);
      size = c.size;
      if (c.code == 0x3000)
        break;
      if (isIdeographic(c.code)) {
        ideograph = c.code;
        break;
      }
      symbols += c.code == 0x2026;
      sentences += c.code == 0x3002 || c.code == 0xFF01 || c.code == 0xFF1F;
      seen |= category(c.code) & Letter ? HasLetter : category(c.code) & Number ? HasDigit : 0;
      p += c.size;
      ++count;
    }
    const bool letters = seen & HasLetter, digits = seen & HasDigit;
    if (p != begin) {
      std::string_view word(begin, static_cast<size_t>(p - begin));
      if (word.ends_with('.') || word.ends_with('!') || word.ends_with('?'))
        ++sentences;
      if (seen & HasMark)
        symbols += static_cast<uint64_t>(std::ranges::count(word, '#')) + (word.find("...") != word.npos);
      ++words;
      wordCharacters += count;
      alphabetic += letters;
      while (!word.empty() && !isWordByte(word.front()))
        word.remove_prefix(1);
      while (!word.empty() && !isWordByte(word.back()))
        word.remove_suffix(1);
      if (letters || digits) { // punctuation by itself is no unit
        if (word.size() <= lowered.size()) {
          size_t i = 0;
          for (uint64_t eight; i + 8 <= word.size(); i += 8) {
            std::memcpy(&eight, word.data() + i, 8);
            eight = toAsciiLower(eight);
            std::memcpy(lowered.data() + i, &eight, 8);
          }
          for (; i < word.size(); ++i)
            lowered[i] = toAsciiLower(word[i]);
          word = {lowered.data(), word.size()};
          stopSeen |= stopWords(word.data(), word.size());
        }
        addUnit(word.data(), word.size(), count);
      }
    }
    if (ideograph) {
      hashes.push_back(mix64(ideograph));
      lengths.push_back(1);
      ++ideographs;
      if (int stop = stopCharacter(ideograph); stop >= 0)
        stopCharacters |= 1u << stop;
      p += size;
    } else if (p != end && static_cast<unsigned char>(*p) >= 0x80) {
      p += size; // the ideographic space
    }
  }
  result.characters = wordCharacters + ideographs;
  result.sentences = sentences;
  result.ideographic = ideographs * 2 > wordCharacters;
  result.units = hashes.size();
  result.words = result.ideographic ? hashes.size() * 2 / 3 : words;
  result.meanWordLength = share(static_cast<double>(wordCharacters), static_cast<double>(words));
  result.alphabeticWords = share(static_cast<double>(alphabetic), static_cast<double>(words));
  result.symbolsPerWord = share(static_cast<double>(symbols), static_cast<double>(result.words));
  result.stopWords = static_cast<uint64_t>(std::popcount(result.ideographic ? stopCharacters : stopSeen));
}

void Measurer::measureLines(std::string_view text) {
  uint64_t bullets = 0, ellipses = 0, punctuated = 0, shorts = 0, duplicates = 0, duplicateBytes = 0,
           lineBytes = 0;
  table.clear(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  for (std::string_view rest = text; !rest.empty();) {
    const void *newline = std::memchr(rest.data(), '\n', rest.size());
    size_t size =
        newline ? static_cast<size_t>(static_cast<const char *>(newline) - rest.data()) : rest.size();
    std::string_view line = rest.substr(0, size);
    rest.remove_prefix(std::min(rest.size(), size + 1));
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.empty())
      continue;
    ++result.lines;
    for (std::string_view bullet : {"\xE2\x80\xA2", "- ", "* ", "\xE2\x97\x8F", "\xE2\x80\xA3", "\xC2\xB7"})
      if (line.starts_with(bullet)) {
        ++bullets;
        break;
      }
    ellipses += line.ends_with("...") || line.ends_with("\xE2\x80\xA6");
    punctuated += endsSentence(line);
    shorts += line.size() < 120 && countCharacters(line) < (result.ideographic ? 15 : 30);
    lineBytes += line.size();
    if (table[hash64(line)]++) {
      ++duplicates;
      duplicateBytes += line.size();
    }
  }
  auto lines = static_cast<double>(result.lines);
  result.bulletLines = share(static_cast<double>(bullets), lines);
  result.ellipsisLines = share(static_cast<double>(ellipses), lines);
  result.punctuatedLines = share(static_cast<double>(punctuated), lines);
  result.shortLines = share(static_cast<double>(shorts), lines);
  result.duplicateLines = share(static_cast<double>(duplicates), lines);
  result.duplicateLineCharacters = share(static_cast<double>(duplicateBytes), static_cast<double>(lineBytes));

  uint64_t paragraphs = 0, paragraphBytes = 0;
  duplicates = duplicateBytes = 0;
  table.clear(result.lines + 1);
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find("\n\n", at), text.size());
    std::string_view paragraph = text.substr(at, end - at);
    at = end + 2;
    ++paragraphs;
    paragraphBytes += paragraph.size();
    if (table[hash64(paragraph)]++) {
      ++duplicates;
      duplicateBytes += paragraph.size();
    }
  }
  result.duplicateParagraphs = share(static_cast<double>(duplicates), static_cast<double>(paragraphs));
  result.duplicateParagraphCharacters =
      share(static_cast<double>(duplicateBytes), static_cast<double>(paragraphBytes));
}

void Measurer::measureGrams() {
  const size_t count = hashes.size(), scale = result.ideographic ? 2 : 1;
  auto all = static_cast<double>(result.characters);
  repeated.assign(count, true);
  grams = hashes;
  size_t size = 1; // of the n-grams in `grams`
  auto extend = [&](size_t wanted) {
    for (; size < wanted; ++size)
      for (size_t i = 0; i + size < count; ++i)
        grams[i] = grams[i] * 0x9E3779B97F4A7C15ull + hashes[i + size];
  };
  auto lengthAt = [&](size_t i) {
    uint64_t length = 0;
    for (size_t k = i; k < i + size; ++k)
      length += lengths[k];
    return length;
  };
  /// Notes where n-grams occur more than once; gives the most frequent one's characters.
  auto countAll = [&]() -> uint64_t {
    size_t candidates = 0, places = count < size ? 0 : count - size + 1;
    for (size_t i = 0; i < places; ++i)
      candidates += repeated[i];
    table.clear(candidates);
    times.assign(count, nullptr);
    for (size_t i = 0; i < places; ++i)
      if (repeated[i])
        ++*(times[i] = &table[grams[i]]);
    uint64_t most = 1, characters = 0;
    for (size_t i = 0; i < count; ++i) {
      repeated[i] = times[i] && *times[i] > 1;
      if (repeated[i] && *times[i] > most) {
        most = *times[i];
        characters = most * lengthAt(i);
      }
    }
    return characters;
  };
  for (size_t n = 2; n <= 4; ++n) {
    extend(n * scale);
    result.topGram[n - 2] = share(static_cast<double>(countAll()), all);
  }
  for (size_t n = 5; n <= 10; ++n) {
    extend(n * scale);
    countAll();
    if (std::ranges::find(repeated, 1) == repeated.end())
      break;
    table.clear(count);
    uint64_t characters = 0;
    for (size_t i = 0; i + size <= count;) {
      if (repeated[i] && table[grams[i]]++) {
        characters += lengthAt(i);
        i += size;
      } else {
        ++i;
      }
    }
    result.duplicateGrams[n - 5] = share(static_cast<double>(characters), all);
  }
}

const Measures &Measurer::measure(std::string_view text, Depth depth) {
  result = {};
  hashes.clear();
  if (depth == Depth::Bytes)
    result.characters = countCharacters(text);
  else
    findUnits(text);
  if (depth == Depth::All) {
    measureLines(text);
    measureGrams();
  }
  std::array<std::array<uint32_t, 256>, 4>
      counts{}; // four, so that equal neighbours do not wait for each other
  for (size_t i = 0; i < text.size(); ++i)
    ++counts[i & 3][static_cast<unsigned char>(text[i])];
  for (size_t b = 0; b < 256; ++b) {
    double p = share(double(counts[0][b]) + counts[1][b] + counts[2][b] + counts[3][b],
                     static_cast<double>(text.size()));
    if (p > 0)
      result.entropy -= p * std::log2(p);
  }
  return result;
}

} // namespace sinter::data
