// SPDX-License-Identifier: Apache-2.0
// Languages by script; those in Latin letters by their most frequent words.
#include "runtime/data/Ascii.h"
#include "runtime/data/AsciiBlock.h"
#include "runtime/data/Filters.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <cstring>
#include <vector>

namespace sinter::data {
namespace {

struct Script {
  std::string_view language; // the one it is written for most
  uint32_t first, last;
};
constexpr auto scripts = std::to_array<Script>({
    {"el", 0x370, 0x3FF},     {"ru", 0x400, 0x52F},   {"hy", 0x530, 0x58F},   {"he", 0x590, 0x5FF},
    {"ar", 0x600, 0x77F},     {"hi", 0x900, 0x97F},   {"bn", 0x980, 0x9FF},   {"pa", 0xA00, 0xA7F},
    {"gu", 0xA80, 0xAFF},     {"ta", 0xB80, 0xBFF},   {"te", 0xC00, 0xC7F},   {"kn", 0xC80, 0xCFF},
    {"ml", 0xD00, 0xD7F},     {"si", 0xD80, 0xDFF},   {"th", 0xE00, 0xE7F},   {"lo", 0xE80, 0xEFF},
    {"my", 0x1000, 0x109F},   {"ka", 0x10A0, 0x10FF}, {"ko", 0x1100, 0x11FF}, {"am", 0x1200, 0x137F},
    {"km", 0x1780, 0x17FF},   {"ja", 0x3040, 0x30FF}, {"zh", 0x3400, 0x9FFF}, {"ko", 0xAC00, 0xD7AF},
    {"zh", 0x20000, 0x323AF}, // the only one beyond U+FFFF
});

/// The script of each block of 16 code points below U+10000, counted from 1; 0: none. All of them begin and
/// end where such a block does.
constexpr auto scriptOfBlock = [] {
  std::array<uint8_t, 4096> blocks{};
  for (size_t s = 0; s < std::size(scripts); ++s)
    for (uint32_t c = scripts[s].first; c <= scripts[s].last && c < 0x10000; c += 16)
      blocks[c >> 4] = static_cast<uint8_t>(s + 1);
  return blocks;
}();

struct Latin {
  std::string_view language;
  std::array<std::string_view, 10> words;
};
constexpr Latin latin[] = {
    {"en", {"the", "of", "and", "to", "in", "that", "is", "was", "for", "with"}},
    {"de", {"der", "die", "und", "das", "den", "nicht", "ist", "von", "mit", "ein"}},
    {"fr", {"le", "la", "les", "des", "et", "est", "une", "dans", "que", "pour"}},
    {"es", {"el", "los", "las", "que", "una", "por", "con", "para", "del", "y"}},
    {"it", {"il", "di", "che", "una", "per", "non", "della", "con", "sono", "gli"}},
    {"pt", {"o", "os", "que", "uma", "para", "com", "n\xC3\xA3o", "dos", "em", "do"}},
    {"nl", {"de", "het", "een", "van", "en", "niet", "dat", "op", "zijn", "voor"}},
    {"pl",
     {"nie", "jest", "si\xC4\x99", "na", "z", "do", "to", "w",
      "\xC5\xBC"
      "e",
      "jak"}},
    {"sv", {"och", "att", "det", "som", "en", "inte", "av", "f\xC3\xB6r", "den", "har"}},
    {"tr", {"ve", "bir", "bu", "i\xC3\xA7in", "ile", "olarak", "da", "de", "olan", "daha"}},
};

/// Bytes of the longest word of the lists.
constexpr size_t longestFrequent = 7;

/// A word of at most eight bytes as a number.
uint64_t keyOf(std::string_view word) {
  uint64_t key = 0;
  for (size_t i = 0; i < word.size(); ++i)
    key |= uint64_t{static_cast<unsigned char>(word[i])} << 8 * i;
  return key;
}

/// Words by the set of languages that have them among their most frequent ones: open addressing, key 0 is
/// free.
class FrequentWords {
public:
  FrequentWords() {
    for (size_t l = 0; l < std::size(latin); ++l)
      for (std::string_view word : latin[l].words) {
        Slot &slot = slots[placeOf(keyOf(word))];
        slot.key = keyOf(word);
        const uint32_t languages = sets[slot.set] | 1u << l;
        auto at = std::ranges::find(sets, languages);
        slot.set = static_cast<uint32_t>(at - sets.begin());
        if (at == sets.end())
          sets.push_back(languages);
      }
    assert(sets.size() <= mostSets);
  }
  /// Index of the word's set; 0: of no language.
  size_t setOf(uint64_t key) const { return slots[placeOf(key)].set; }

  static constexpr size_t mostSets = 64;
  std::vector<uint32_t> sets = {0}; // a bit a language

private:
  struct Slot {
    uint64_t key = 0;
    uint32_t set = 0;
  };
  size_t placeOf(uint64_t key) const {
    size_t at = key * 0x9E3779B97F4A7C15u >> 55;
    while (slots[at].key && slots[at].key != key)
      at = (at + 1) % slots.size();
    return at;
  }
  std::array<Slot, 512> slots;
};

constexpr size_t sampleBytes = 1024;

/// The language of the words of at most sampleBytes; words are what ASCII letters and other characters make.
std::string_view latinLanguage(std::string_view text) {
  static const FrequentWords frequent;
  std::array<char, sampleBytes + AsciiBlock::size> sample{}; // zeros end the last word
  std::copy(text.begin(), text.end(), sample.begin());
  std::array<uint16_t, sampleBytes> begins, ends;
  size_t words = 0, ended = 0;
  bool open = false; // the byte before is in a word
  for (size_t i = 0; i < text.size() + 1; i += AsciiBlock::size) {
    const AsciiBlock block(sample.data() + i);
    const uint32_t inWord = block.areLetters() | block.areBeyondAscii(), before = inWord << 1 | open;
    open = inWord >> 31;
    for (uint32_t first = inWord & ~before; first; first &= first - 1)
      begins[words++] = static_cast<uint16_t>(i + static_cast<size_t>(std::countr_zero(first)));
    for (uint32_t behind = ~inWord & before; behind; behind &= behind - 1)
      ends[ended++] = static_cast<uint16_t>(i + static_cast<size_t>(std::countr_zero(behind)));
  }
  std::array<uint32_t, FrequentWords::mostSets> counts{};
  for (size_t w = 0; w < words; ++w) {
    const size_t size = ends[w] - begins[w];
    uint64_t key;
    std::memcpy(&key, sample.data() + begins[w], sizeof key);
    key = size > longestFrequent ? 0 : key & ~(~uint64_t{0} << 8 * size);
    ++counts[frequent.setOf(toAsciiLower(key))];
  }
  std::array<uint32_t, std::size(latin)> hits{};
  for (size_t s = 0; s < frequent.sets.size(); ++s)
    for (uint32_t languages = frequent.sets[s]; languages; languages &= languages - 1)
      hits[static_cast<size_t>(std::countr_zero(languages))] += counts[s];
  auto best = std::ranges::max_element(hits);
  if (*best * 20 < words || *best == 0)
    return "und";
  return latin[best - hits.begin()].language;
}

} // namespace

std::string_view detectLanguage(std::string_view text) {
  if (text.size() > sampleBytes) {
    size_t cut = sampleBytes;
    while (unicode::isContinuation(text[cut]))
      --cut;
    text = text.substr(0, cut);
  }
  std::array<uint32_t, std::size(scripts)> counts{};
  uint32_t letters = 0, ascii = 0;
  for (size_t i = 0; i < text.size();) {
    if (text.size() - i >= AsciiBlock::size)
      if (const AsciiBlock block(text.data() + i); block.areBeyondAscii() == 0) {
        const auto found = static_cast<uint32_t>(std::popcount(block.areLetters()));
        letters += found;
        ascii += found;
        i += AsciiBlock::size;
        continue;
      }
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      bool letter = isAsciiLetter(text[i++]);
      letters += letter;
      ascii += letter;
      continue;
    }
    unicode::Char c = unicode::decode(text.data() + i);
    i += c.size;
    if (!(unicode::category(c.code) & unicode::Letter))
      continue;
    ++letters;
    if (c.code < 0x250) {
      ++ascii;
      continue;
    }
    if (c.code >= 0x10000)
      counts.back() += c.code >= scripts.back().first && c.code <= scripts.back().last;
    else if (uint8_t script = scriptOfBlock[c.code >> 4])
      ++counts[script - 1];
  }
  if (letters == 0)
    return "und";
  uint32_t kana = 0, han = 0;
  for (size_t s = 0; s < counts.size(); ++s) {
    kana += scripts[s].language == "ja" ? counts[s] : 0;
    han += scripts[s].language == "zh" ? counts[s] : 0;
  }
  // A Chinese character says about as much as three or four letters.
  if ((kana + han) * 4 > letters)
    return kana * 10 > kana + han ? "ja" : "zh";
  auto best = std::ranges::max_element(counts);
  if (*best * 2 > letters)
    return scripts[best - counts.begin()].language;
  return ascii * 2 > letters ? latinLanguage(text) : "und";
}

std::vector<std::string_view> languageNames() {
  std::vector<std::string_view> names = {"und"};
  for (const Script &script : scripts)
    names.push_back(script.language);
  for (const Latin &language : latin)
    names.push_back(language.language);
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

} // namespace sinter::data
