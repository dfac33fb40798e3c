// SPDX-License-Identifier: Apache-2.0
// What quality filters look at, taken from a text in a few passes.
#ifndef SINTER_RUNTIME_DATA_MEASURES_H
#define SINTER_RUNTIME_DATA_MEASURES_H

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sinter::data {

/// Shares are of 1. "Units" are words between white space, or for text that is
/// mostly Chinese or Japanese single characters of those scripts and words of
/// others.
struct Measures {
  uint64_t characters = 0; // code points without white space
  uint64_t units = 0;
  uint64_t words = 0; // units; for Chinese 2 for 3 characters, about what a segmenter finds
  bool ideographic = false;
  double meanWordLength = 0; // characters, of words between white space
  double alphabeticWords = 0;
  double symbolsPerWord = 0; // '#' and ellipses
  uint64_t stopWords = 0;    // different ones of Gopher's eight, or of eight Chinese ones
  uint64_t sentences = 0;    // ends of sentences

  uint64_t lines = 0; // that are not empty
  double bulletLines = 0, ellipsisLines = 0;
  double punctuatedLines = 0; // end in . ! ? " or their Chinese forms
  double shortLines = 0;      // under 30 characters; Chinese: 15
  double duplicateLines = 0, duplicateLineCharacters = 0;
  double duplicateParagraphs = 0, duplicateParagraphCharacters = 0;
  /// Share of characters in the most frequent n-gram that occurs twice or more,
  /// for n = 2, 3, 4; and in n-grams seen before, for n = 5 ... 10. Chinese: of
  /// twice as many characters.
  std::array<double, 3> topGram{};
  std::array<double, 6> duplicateGrams{};
  double entropy = 0; // bits a byte of the distribution of bytes
};

class Measurer {
public:
  /// How much of Measures is wanted: `characters` and `entropy`; what units
  /// say, too; all.
  enum class Depth { Bytes, Units, All };

  /// Measures clean text.
  const Measures &measure(std::string_view text, Depth depth = Depth::All);
  /// Only finds the units.
  void measureUnits(std::string_view text) {
    result = {};
    findUnits(text);
  }
  /// Hashes of the units of the text measured last, ASCII letters in lower case
  /// and punctuation at the ends of words left out: what near-duplicates are
  /// compared by.
  const std::vector<uint64_t> &units() const { return hashes; }

private:
  void findUnits(std::string_view text);
  void measureLines(std::string_view text);
  void measureGrams();

  /// Counts keys of up to `capacity` entries; emptied between uses.
  class Table {
  public:
    void clear(size_t capacity);
    uint32_t &operator[](uint64_t key);

  private:
    struct Slot {
      uint64_t key;
      uint32_t count, round = 0;
    };
    std::vector<Slot> slots;
    size_t mask = 0;
    uint32_t round = 0;
  };

  Measures result;
  std::vector<uint64_t> hashes;
  std::vector<uint32_t> lengths; // characters of each unit
  std::vector<uint64_t> grams;
  std::vector<char> repeated;
  std::vector<uint32_t *> times; // each gram's place in `table`
  Table table;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_MEASURES_H
