// SPDX-License-Identifier: Apache-2.0
// The table of filters.
#include "runtime/data/Filters.h"
#include "runtime/data/WordList.h"

namespace sinter::data {
namespace {

constexpr std::string_view gopher = "Gopher (arXiv:2112.11446)", c4 = "C4 (arXiv:1910.10683)",
                           fineWeb = "FineWeb (arXiv:2406.17557)";
using M = const Measures &;
using Text = std::string_view;

bool repeats(M m) {
  constexpr double top[] = {0.20, 0.18, 0.16}, duplicate[] = {0.15, 0.14, 0.13, 0.12, 0.11, 0.10};
  for (size_t i = 0; i < 3; ++i)
    if (m.topGram[i] > top[i])
      return true;
  for (size_t i = 0; i < 6; ++i)
    if (m.duplicateGrams[i] > duplicate[i])
      return true;
  return false;
}

bool hasLoremIpsum(M, Text text) {
  static const WordList phrases({"lorem ipsum"});
  return phrases.find(text) >= 0;
}

constexpr Filter filterTable[] = {
    {"gopher-length", gopher,
     "fewer than 50 or more than 100000 words (Chinese: 3 characters count as 2 words)",
     [](M m, Text) { return m.words < 50 || m.words > 100000; }},
    {"gopher-word-length", gopher, "mean word length under 3 or over 10 characters (not for Chinese)",
     [](M m, Text) { return !m.ideographic && (m.meanWordLength < 3 || m.meanWordLength > 10); }},
    {"gopher-symbols", gopher, "more than 0.1 '#' or ellipses a word",
     [](M m, Text) { return m.symbolsPerWord > 0.1; }},
    {"gopher-bullets", gopher, "more than 0.9 of lines begin with a bullet",
     [](M m, Text) { return m.bulletLines > 0.9; }},
    {"gopher-ellipsis", gopher, "more than 0.3 of lines end with an ellipsis",
     [](M m, Text) { return m.ellipsisLines > 0.3; }},
    {"gopher-alphabetic", gopher, "fewer than 0.8 of words have a letter (not for Chinese)",
     [](M m, Text) { return !m.ideographic && m.alphabeticWords < 0.8; }},
    {"gopher-stop-words", gopher,
     "fewer than 2 of: the be to of and that have with (Chinese: \xE7\x9A\x84 \xE4\xB8\x80 \xE6\x98\xAF "
     "\xE4\xBA\x86 \xE5\x9C\xA8 \xE4\xB8\x8D \xE6\x9C\x89 \xE5\x92\x8C); only for English and Chinese",
     [](M m, Text text) {
       if (m.stopWords >= 2)
         return false;
       std::string_view language = detectLanguage(text);
       return language == "en" || language == "zh";
     }},
    {"gopher-duplicate-lines", gopher,
     "over 0.30 of lines or paragraphs, or 0.20 of their characters, seen before",
     [](M m, Text) {
       return m.duplicateLines > 0.3 || m.duplicateParagraphs > 0.3 || m.duplicateLineCharacters > 0.2 ||
              m.duplicateParagraphCharacters > 0.2;
     }},
    {"gopher-repetition", gopher,
     "characters in the most frequent 2-, 3-, 4-gram over 0.20, 0.18, 0.16, or in repeated 5- to 10-grams "
     "over 0.15 to "
     "0.10 (Chinese: twice as many characters)",
     [](M m, Text) { return repeats(m); }},
    {"c4-sentences", c4, "fewer than 5 sentences", [](M m, Text) { return m.sentences < 5; }},
    {"c4-lorem-ipsum", c4, "has 'lorem ipsum'", hasLoremIpsum},
    {"c4-curly-bracket", c4, "has '{' (as program text does)",
     [](M, Text text) { return text.find('{') != text.npos; }},
    {"fineweb-punctuation", fineWeb, "at most 0.12 of lines end in a mark that ends sentences",
     [](M m, Text) { return m.punctuatedLines <= 0.12; }},
    {"fineweb-duplicate-lines", fineWeb, "at least 0.1 of characters in lines seen before",
     [](M m, Text) { return m.duplicateLineCharacters >= 0.1; }},
    {"fineweb-short-lines", fineWeb, "at least 0.67 of lines under 30 characters (Chinese: 15)",
     [](M m, Text) { return m.shortLines >= 0.67; }},
};

} // namespace

std::span<const Filter> filters() { return filterTable; }

int findFilter(std::string_view name) {
  for (size_t i = 0; i < std::size(filterTable); ++i)
    if (filterTable[i].name == name)
      return static_cast<int>(i);
  return -1;
}

} // namespace sinter::data
