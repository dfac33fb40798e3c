// SPDX-License-Identifier: Apache-2.0
#include "runtime/tokenizer/Utf8.h"
#include <gtest/gtest.h>

using namespace sinter;

namespace {

std::string repaired(std::string_view text) {
  std::string out;
  appendRepairedUtf8(out, text);
  return out;
}

TEST(Utf8Test, RepairsAsPythonReplaces) {
  // Each expectation is bytes.decode(errors='replace').
  EXPECT_EQ(repaired("a\x80z"), "a\uFFFDz");
  EXPECT_EQ(repaired("\xC0\x80"), "\uFFFD\uFFFD");
  EXPECT_EQ(repaired("\xE2\x82"), "\uFFFD");
  EXPECT_EQ(repaired("\xE2\x82z"), "\uFFFDz");
  EXPECT_EQ(repaired("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(repaired("\xF0\x9F\x98"), "\uFFFD");
  EXPECT_EQ(repaired("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(repaired("\xE4\xB8\xE4\xB8\xAD"), "\uFFFD\u4E2D");
  EXPECT_EQ(repaired("\xFF\xFE plain"), "\uFFFD\uFFFD plain");
}

TEST(Utf8Test, FindsTheFirstInvalidByteBehindLongAscii) {
  std::string text(1000, 'a');
  EXPECT_EQ(validUtf8Prefix(text), 1000u);
  text[777] = '\xE9';
  EXPECT_EQ(validUtf8Prefix(text), 777u);
}

TEST(Utf8Test, TellsIncompleteFromIllFormed) {
  EXPECT_TRUE(stepUtf8("\xE4\xB8").incomplete);
  EXPECT_FALSE(stepUtf8("\xE4z").incomplete);
  EXPECT_FALSE(stepUtf8("\x80").incomplete);
}

} // namespace
