// SPDX-License-Identifier: Apache-2.0
// Every splitter must cut exactly where PCRE2 does with the expression it stands for.
#include "runtime/tokenizer/Splitter.h"
#include "frontend/tokenizer/RegexSyntax.h"
#include "runtime/tokenizer/Regex.h"
#include <gtest/gtest.h>
#include <random>

using namespace sinter;

namespace {

using Cuts = std::vector<std::string>;

Cuts bySplitter(SplitterKind kind, std::string_view text) {
  Cuts cuts;
  split(kind, text, 0, text.size(), [&](size_t b, size_t e) { cuts.emplace_back(text.substr(b, e - b)); });
  return cuts;
}

Cuts byRegex(const Regex &regex, std::string_view text) {
  Cuts cuts;
  size_t last = 0;
  regex.forEach(text, [&](size_t b, size_t e) {
    if (last < b)
      cuts.emplace_back(text.substr(last, b - last));
    cuts.emplace_back(text.substr(b, e - b));
    last = e;
  });
  if (last < text.size())
    cuts.emplace_back(text.substr(last));
  return cuts;
}

/// Characters of every category, white space and contractions far more often than in text.
std::string randomText(std::mt19937 &random) {
  static const std::vector<std::string> parts = {
      " ",      "  ",     "\n",         "\r\n",    "\t",     "\r",
      "\u00A0", "\u3000", "\u0085",     "\u2028",  "'s",     "'S",
      "'ll",    "'LL",    "'l",         "'",       "'re",    "'Ve",
      "'m",     "'d",     "'T",         "'\u017F", "\u2019", "a",
      "B",      "z",      "word",       "Word",    "WORD",   "camelCase",
      "\u01C5", "\u02B0", "\u00AA",     "\u4E2D",  "\u6587", "\u05D0",
      "\u0301", "\u0903", "\u20DD",     "1",       "23",     "456",
      "\u0663", "\u00BD", "\u2167",     "_",       "-",      "(",
      ")",      "\u00AB", "\u00BB",     "!",       "/",      "//",
      ".",      "+",      "$",          "^",       "\u00A9", "\u200D",
      "\u200B", "\u00AD", "\U0001F469", "\uE000",  "\u0378", std::string(1, '\0')};
  std::string text;
  for (size_t i = 0, n = random() % 24; i < n; ++i)
    text += parts[random() % parts.size()];
  return text;
}

class SplitterTest : public testing::TestWithParam<int> {};

TEST_P(SplitterTest, CutsRandomTextAsPcre2Does) {
  auto kind = static_cast<SplitterKind>(GetParam());
  Result<std::string> pattern = translateRegex(splitterPattern(kind));
  ASSERT_TRUE(pattern) << pattern.error().message;
  Result<Regex> regex = Regex::compile(*pattern);
  ASSERT_TRUE(regex) << regex.error().message;
  std::mt19937 random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string text = randomText(random);
    ASSERT_EQ(bySplitter(kind, text), byRegex(*regex, text)) << text;
  }
}

TEST_P(SplitterTest, IsFoundByItsOwnExpression) {
  auto kind = static_cast<SplitterKind>(GetParam());
  EXPECT_EQ(findSplitter(splitterPattern(kind)), kind);
}

INSTANTIATE_TEST_SUITE_P(AllKinds, SplitterTest, testing::Range(0, static_cast<int>(SplitterKind::Count)));

TEST(SplitterTest, KnowsNoSplitterForAnotherExpression) {
  EXPECT_EQ(findSplitter("\\w+"), SplitterKind::Count);
}

TEST(RegexTest, NamesTheErrorAndItsPlace) {
  Result<Regex> regex = Regex::compile("a(b");
  ASSERT_FALSE(regex);
  EXPECT_EQ(regex.error().message, "regular expression \"a(b\": missing closing parenthesis at byte 3");
}

TEST(RegexTest, FindsEmptyMatchesOnce) {
  Result<Regex> regex = Regex::compile("x*");
  ASSERT_TRUE(regex);
  std::vector<std::pair<size_t, size_t>> found;
  regex->forEach("axb", [&](size_t b, size_t e) { found.push_back({b, e}); });
  EXPECT_EQ(found, (std::vector<std::pair<size_t, size_t>>{{0, 0}, {1, 2}, {3, 3}}));
}

TEST(RegexSyntaxTest, FlattensSetsInsideSets) {
  EXPECT_EQ(*translateRegex(" ?[^(\\s|[.,!?])]+"), " ?[^(\\p{Z}\\t-\\r\\x{85}|.,!?)]+");
}

TEST(RegexSyntaxTest, RewritesWhatOnigurumaReadsDifferently) {
  EXPECT_EQ(*translateRegex("(?m:.)\\h\\u00e9"), "(?s:.)[0-9A-Fa-f]\\x{00e9}");
}

TEST(RegexSyntaxTest, RefusesIntersections) {
  Result<std::string> pattern = translateRegex("[a&&b]");
  ASSERT_FALSE(pattern);
  EXPECT_EQ(pattern.error().message,
            "regular expression \"[a&&b]\": expected what PCRE2 can express, found an "
            "intersection of sets at byte 2");
}

} // namespace
