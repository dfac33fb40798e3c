// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/Output.h"
#include <gtest/gtest.h>

using namespace sinter;

#define R "\xEF\xBF\xBD"

// What Python's bytes.decode('utf-8', 'replace') gives.
TEST(OutputTest, IllFormedUtf8IsReplacedAsPythonDoes) {
  EXPECT_EQ(repairUtf8("a\xE4\xB8\xAD\xF0\x9F\x98\x80z"), "a\xE4\xB8\xAD\xF0\x9F\x98\x80z");
  EXPECT_EQ(repairUtf8("\xE4\xB8"), R);
  EXPECT_EQ(repairUtf8("\xE4\xB8x"), R "x");
  EXPECT_EQ(repairUtf8("\xF0\x9F\x98"), R);
  EXPECT_EQ(repairUtf8("\x80\xBF"), R R);
  EXPECT_EQ(repairUtf8("\xC0\xAF"), R R);
  EXPECT_EQ(repairUtf8("\xED\xA0\x80"), R R R);
  EXPECT_EQ(repairUtf8("\xF4\x90\x80\x80"), R R R R);
  EXPECT_EQ(repairUtf8("\xE0\x80\xAF"), R R R);
  EXPECT_EQ(repairUtf8(""), "");
}

TEST(OutputTest, AMissingFileIsNamed) {
  EXPECT_EQ(readWhole("/nowhere/at-all").error().message,
            "/nowhere/at-all: cannot open: No such file or directory");
  EXPECT_EQ(readWhole("/").error().message, "/: cannot read: Is a directory");
}
