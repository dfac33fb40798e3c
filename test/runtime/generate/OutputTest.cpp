// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/Output.h"
#include <gtest/gtest.h>

using namespace sinter;

TEST(OutputTest, AMissingFileIsNamed) {
  EXPECT_EQ(readWhole("/nowhere/at-all").error().message,
            "/nowhere/at-all: cannot open: No such file or directory");
  EXPECT_EQ(readWhole("/").error().message, "/: cannot read: Is a directory");
}

TEST(OutputTest, AFileWithoutEndIsRefused) {
  EXPECT_EQ(readWhole("/dev/zero").error().message, "/dev/zero: expected at most 1 GiB of text, found more");
}
