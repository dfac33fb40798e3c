// SPDX-License-Identifier: Apache-2.0
// What is counted of a text, and how similar ones are found: many bytes at a time as one after the other.
#include "runtime/data/Measures.h"
#include "runtime/data/Filters.h"
#include "runtime/data/MinHash.h"

#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <set>

namespace sinter::data {
namespace {

TEST(Language, countsFrequentWordsWhereverTheyStand) {
  for (size_t pad = 0; pad < 70; ++pad) {
    std::string text(pad, '.');
    text += "NICHT";
    for (int i = 0; i < 19; ++i)
      text += " nichts\xC3\xA9";                  // longer words that begin as it does
    EXPECT_EQ(detectLanguage(text), "de") << pad; // one of 20
    EXPECT_EQ(detectLanguage(text + " x"), "und") << pad;
  }
}

/// What measures count a word at a time must not depend on what stands beside it: words alone are short, and
/// none is looked at as a part of 32 bytes.
TEST(Measures, areTheSameForWordsAloneAndInALongText) {
  std::mt19937 random(10);
  const std::vector<std::string> parts = {"a",
                                          "Z",
                                          "the",
                                          "With",
                                          "BE",
                                          "of",
                                          "9",
                                          "#",
                                          ".",
                                          "...",
                                          "!",
                                          "?",
                                          "-",
                                          "'",
                                          "river",
                                          "Mountainous",
                                          "\xC3\xA9",
                                          "\xE2\x80\xA6",
                                          "\xE4\xB8\xAD",
                                          "\xE3\x80\x82",
                                          "\xE7\x9A\x84"};
  Measurer alone, together;
  for (int trial = 0; trial < 400; ++trial) {
    std::string text;
    std::vector<uint64_t> units;
    uint64_t characters = 0, sentences = 0;
    double symbols = 0, words = 0, alphabetic = 0;
    const size_t most = trial % 2 ? 14 : parts.size();
    for (int w = 0; w < 60; ++w) {
      std::string word;
      for (size_t i = 0; i <= random() % 4; ++i)
        word += parts[random() % most];
      if (word.size() >= 32)
        continue;
      const Measures &measures = alone.measure(word, Measurer::Depth::Units);
      units.insert(units.end(), alone.units().begin(), alone.units().end());
      characters += measures.characters;
      sentences += measures.sentences;
      if (!measures.ideographic && most == 14) { // of what is counted in words
        symbols += measures.symbolsPerWord * static_cast<double>(measures.words);
        words += static_cast<double>(measures.words);
        alphabetic += measures.alphabeticWords * static_cast<double>(measures.words);
      }
      text += word + " \n\t"[random() % 3];
    }
    const Measures &measures = together.measure(text, Measurer::Depth::Units);
    EXPECT_EQ(together.units(), units) << text;
    EXPECT_EQ(measures.characters, characters) << text;
    EXPECT_EQ(measures.sentences, sentences) << text;
    if (most == 14) {
      EXPECT_EQ(measures.words, words) << text;
      EXPECT_NEAR(measures.symbolsPerWord, symbols / words, 1e-12) << text;
      EXPECT_NEAR(measures.alphabeticWords, alphabetic / words, 1e-12) << text;
    }
  }
  for (std::string_view stop : {"the", "be", "to", "of", "and", "that", "have", "with"}) {
    const std::string other = std::string(stop) + "x " + std::string(stop.substr(1)) + " ";
    for (std::string text : {other, other + "(" + std::string(stop) + ") "}) {
      uint64_t expected = text.size() > other.size();
      EXPECT_EQ(alone.measure(text, Measurer::Depth::Units).stopWords, expected) << text;
      EXPECT_EQ(together.measure(text + std::string(40, '-'), Measurer::Depth::Units).stopWords, expected)
          << text;
    }
  }
}

TEST(MinHash, bandsFindSimilarSetsAndJaccardTellsHowSimilar) {
  std::mt19937_64 random(4);
  int found = 0, wrong = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<uint64_t> a, b, c;
    for (int i = 0; i < 200; ++i) {
      uint64_t x = random();
      a.push_back(x);
      b.push_back(i < 180 ? x : random()); // 180 of 220: 0.82
      c.push_back(random());
    }
    for (auto *set : {&a, &b, &c})
      std::ranges::sort(*set);
    ShingleSet set;
    set.assign(a);
    EXPECT_NEAR(set.jaccard(b), 180.0 / 220, 1e-9);
    Bands x = makeBands(a), y = makeBands(b), z = makeBands(c);
    auto shares = [](const Bands &p, const Bands &q) {
      for (size_t i = 0; i < bandCount; ++i)
        if (p[i] == q[i])
          return true;
      return false;
    };
    found += shares(x, y);
    wrong += shares(x, z);
  }
  EXPECT_GE(found, 195); // 0.998 expected
  EXPECT_EQ(wrong, 0);
}

TEST(MinHash, sketchesAgreeInEachSlotAsOftenAsSetsAreSimilar) {
  std::mt19937_64 random(5);
  for (int size : {3, 40, 3000}) { // of which a text has fewer, about as many, and more than slots
    int same = 0, trials = size > 1000 ? 100 : 2000;
    for (int trial = 0; trial < trials; ++trial) {
      std::vector<uint64_t> a, b;
      for (int i = 0; i < size; ++i) {
        uint64_t x = random();
        a.push_back(x);
        b.push_back(i * 10 < size * 9 ? x : random());
      }
      Bands x = makeBands(a), y = makeBands(b);
      for (size_t i = 0; i < bandCount; ++i)
        same += x[i] == y[i];
    }
    double shared = std::ceil(size * 0.9), similarity = shared / (2 * size - shared);
    double expected = std::pow(similarity, bandRows), share = double(same) / (trials * double(bandCount));
    EXPECT_NEAR(share, expected, 0.03) << size;
  }
}

TEST(MinHash, orderAndRepetitionDoNotMatter) {
  std::mt19937_64 random(6);
  std::vector<uint64_t> set(50);
  for (uint64_t &x : set)
    x = random();
  std::vector<uint64_t> other(set.rbegin(), set.rend());
  other.insert(other.end(), set.begin(), set.begin() + 20);
  EXPECT_EQ(makeBands(set), makeBands(other));
}

TEST(MinHash, jaccardIsThatOfTheSetsWhateverIsComparedBefore) {
  std::mt19937_64 random(9);
  ShingleSet mine;
  for (int trial = 0; trial < 2000; ++trial) {
    auto draw = [&](size_t most) { // few different ones, 0 among them
      std::vector<uint64_t> shingles(random() % most);
      for (uint64_t &shingle : shingles)
        shingle = random() % 30 * 64;
      return shingles;
    };
    std::vector<uint64_t> a = draw(40), b = draw(trial % 20 ? 40 : 400);
    std::set<uint64_t> x(a.begin(), a.end()), y(b.begin(), b.end());
    size_t both = 0;
    for (uint64_t shingle : x)
      both += y.count(shingle);
    size_t either = x.size() + y.size() - both;
    mine.assign(a);
    mine.jaccard(draw(40));
    EXPECT_EQ(mine.jaccard(b), either ? static_cast<double>(both) / static_cast<double>(either) : 1) << trial;
  }
}

} // namespace
} // namespace sinter::data
