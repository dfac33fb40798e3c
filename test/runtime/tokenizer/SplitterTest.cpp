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

TEST(RegexSyntaxTest, ReadsRepeatsAsOnigurumaDoes) {
  for (auto [pattern, expected] : std::vector<std::pair<const char *, const char *>>{
           {"\\p{N}{1,3}+", "(?:\\p{N}{1,3})+"},
           {"(?:ab){2}+c", "(?:(?:ab){2})+c"},
           {"[a-c]{2,}+", "(?:[a-c]{2,})+"},
           {"a{2}?", "(?:a{2})?"},
           {"a{2,3}?", "a{2,3}?"},
           {"a{,2}", "a{0,2}"},
           {"a{2}{3}", "(?:a{2}){3}"},
           {"a+?+", "(?:a+?)+"},
           {"[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++", "[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++"},
           {"a{,}b{x}{", "a\\{,}b\\{x}\\{"},
           {"a(?i)b|c", "a(?i:b|c)"},
           {"(a(?i)b|c)d", "(a(?i:b|c))d"},
           {"(?i)a", "(?i:a)"},
           {"\\Q\\v\\x41\\p{Han}", "Q\\x0B\\x{41}\\p{sc:Han}"},
           {"(?<=a)(?<n>b){1,2}+", "(?<=a)(?:(?<n>b){1,2})+"}})
    EXPECT_EQ(*translateRegex(pattern), expected) << pattern;
}

/// Pieces of tokenizers 0.23.3, Split("isolated"), for what PCRE2 reads otherwise.
TEST(RegexSyntaxTest, CutsAsOnigurumaDoes) {
  auto cuts = [](std::string_view pattern, std::string_view text) {
    Result<std::string> translated = translateRegex(pattern);
    Result<Regex> regex = Regex::compile(translated ? *translated : "(");
    return regex ? byRegex(*regex, text) : Cuts{"error"};
  };
  EXPECT_EQ(cuts("\\d{1,2}+2", "1232"), (Cuts{"1232"}));
  EXPECT_EQ(cuts("\\d{2}?x", "123x"), (Cuts{"1", "23x"}));
  EXPECT_EQ(cuts("\\d{2}?", "1234"), (Cuts{"12", "34"}));
  EXPECT_EQ(cuts("a{,2}b", "aaab"), (Cuts{"a", "aab"}));
  EXPECT_EQ(cuts("a{1,2}?+", "aaaa"), (Cuts{"aaaa"}));
  EXPECT_EQ(cuts("a?+a", "aa"), (Cuts{"aa"}));
  EXPECT_EQ(cuts("a++a", "aaa"), (Cuts{"aaa"}));
  EXPECT_EQ(cuts("\\p{L}{1,3}+\\p{N}", "abcde1"), (Cuts{"abcde1"}));
  EXPECT_EQ(cuts("\\Qa\\E", "aQaE"), (Cuts{"a", "QaE"}));
  EXPECT_EQ(cuts("\\v", "a\x0B\n"), (Cuts{"a", "\x0B", "\n"}));
}

/// Characters that PCRE2's own classes hold or lack, by tokenizers 0.23.3, with which all sets were compared
/// over all code points.
TEST(RegexSyntaxTest, ClassesHoldWhatOnigurumasDo) {
  auto matches = [](std::string_view pattern, std::string_view text) {
    return Regex::compile(*translateRegex(pattern))->find(text, 0).found;
  };
  for (const char *digit : {"\u00B2", "\u00B3", "\u00B9", "\u00BC", "\u00BD", "\u00BE"}) {
    EXPECT_TRUE(matches("\\w", digit)) << digit;
    EXPECT_FALSE(matches("\\W", digit)) << digit;
    EXPECT_FALSE(matches("[\\w]", digit)) << digit << ": Oniguruma has two tables";
    EXPECT_FALSE(matches("[[:word:]]", digit)) << digit;
  }
  for (const char *letter : {"\u2167", "\u24B6", "\u0345", "a"}) {
    EXPECT_TRUE(matches("[[:alpha:]]", letter)) << letter;
    EXPECT_FALSE(matches("[[:^alpha:]]", letter)) << letter;
    EXPECT_TRUE(matches("[[:alnum:]]", letter)) << letter;
  }
  EXPECT_FALSE(matches("[[:alnum:]]", "\u00B2"));
  for (const char *sign : {"!", "$", "\u20AC", "\u00A9", "\u2044", "_"})
    EXPECT_TRUE(matches("[[:punct:]]", sign)) << sign;
  EXPECT_TRUE(matches("[[:lower:]]", "\u00AA"));
  EXPECT_TRUE(matches("[[:upper:]]", "\u2160"));
  EXPECT_TRUE(matches("[[:cntrl:]]", "\u0085"));
  EXPECT_FALSE(matches("[[:cntrl:]]", "\u00AD"));
  EXPECT_TRUE(matches("[[:graph:]]", "\u00AD"));
  EXPECT_TRUE(matches("[[:blank:]]", "\u3000"));
  EXPECT_FALSE(matches("a\\b", "a\u0301")) << "marks are of words";
  EXPECT_TRUE(matches("a\\B", "a\u0301"));
  EXPECT_TRUE(matches("a\\b", "a-"));
}

TEST(RegexSyntaxTest, RefusesTextWithoutCaseThatOneCharacterSpells) {
  for (const char *pattern :
       {"(?i:ss)", "(?i)xst", "(?i:a\\u00dfb)", "(?i:[a\u00DF])", "(?i:[\u00C0-\u00FF])", "(?i:ﬁ)"})
    EXPECT_NE(translateRegex(pattern).error().message.find("without case"), std::string::npos) << pattern;
  for (const char *pattern : {"(?i:'s|'t|'re|'ve|'m|'ll|'d)", "(?i:[sdmt]|ll|ve|re)", "(?i:s+s|[^\u00DF])",
                              "(?i:a)ss", "(?i:s|s)", "(?i-i:ss)"})
    EXPECT_TRUE(translateRegex(pattern)) << pattern;
}

TEST(RegexSyntaxTest, NamesWhatHasNoEquivalent) {
  for (auto [pattern, found] : std::vector<std::pair<const char *, const char *>>{
           {"\\C-a", "found \\C at byte 0"},
           {"\\y", "found \\y at byte 0"},
           {"\\X", "found \\X at byte 0"},
           {"[[:^punct:]]", "found a negated class inside a set at byte 1"},
           {"[[:foo:]]", "found the class [:foo:] at byte 1"},
           {"[[:alpha]", "found an incomplete class name at byte 1"},
           {"\\u12", "found an incomplete \\u at byte 0"},
           {"\\x{12", "found an incomplete \\x at byte 0"},
           {"\\pL", "found a property without a name at byte 0"}})
    EXPECT_NE(translateRegex(pattern).error().message.find(found), std::string::npos)
        << translateRegex(pattern).error().message;
  EXPECT_NE(
      translateRegex("a" + std::string(300, '+')).error().message.find("more than 100 repeats of repeats"),
      std::string::npos);
  EXPECT_NE(translateRegex(std::string(300, '[')).error().message.find("more than 100 sets inside sets"),
            std::string::npos);
  EXPECT_FALSE(Regex::compile(*translateRegex("(?\u00E9"))) << "no byte of a character is read by itself";
  EXPECT_NE(translateRegex("\xFF").error().message.find("expected UTF-8, found an invalid byte at 0"),
            std::string::npos);
}

TEST(RegexSyntaxTest, RefusesIntersections) {
  Result<std::string> pattern = translateRegex("[a&&b]");
  ASSERT_FALSE(pattern);
  EXPECT_EQ(pattern.error().message,
            "regular expression \"[a&&b]\": expected what PCRE2 can express, found an "
            "intersection of sets at byte 2");
}

} // namespace
