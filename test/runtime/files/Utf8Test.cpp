// SPDX-License-Identifier: Apache-2.0
#include "runtime/files/Utf8.h"
#include <gtest/gtest.h>

using namespace sinter;

namespace {

TEST(Utf8Test, RepairsAsPythonReplaces) {
  // Each expectation is bytes.decode(errors='replace').
  EXPECT_EQ(repairUtf8("a\x80z"), "a\uFFFDz");
  EXPECT_EQ(repairUtf8("\xC0\x80"), "\uFFFD\uFFFD");
  EXPECT_EQ(repairUtf8("\xE2\x82"), "\uFFFD");
  EXPECT_EQ(repairUtf8("\xE2\x82z"), "\uFFFDz");
  EXPECT_EQ(repairUtf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(repairUtf8("\xF0\x9F\x98"), "\uFFFD");
  EXPECT_EQ(repairUtf8("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(repairUtf8("\xE4\xB8\xE4\xB8\xAD"), "\uFFFD\u4E2D");
  EXPECT_EQ(repairUtf8("\xFF\xFE plain"), "\uFFFD\uFFFD plain");
  EXPECT_EQ(repairUtf8("\xE0\x80\xAF"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(repairUtf8("a\u4E2D\U0001F600z"), "a\u4E2D\U0001F600z");
  EXPECT_EQ(repairUtf8(""), "");
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
