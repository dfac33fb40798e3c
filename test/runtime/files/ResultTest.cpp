// SPDX-License-Identifier: Apache-2.0
// Messages stay short, whatever is wrong.
#include "runtime/Result.h"
#include <gtest/gtest.h>

using namespace sinter;

namespace {

TEST(ResultTest, ShowsBothEndsOfALongText) {
  const std::string text = std::string(1000, 'a') + std::string(1000, 'b');
  EXPECT_EQ(shortened(text),
            std::string(300, 'a') + " ... (1600 bytes left out) ... " + std::string(100, 'b'));
  EXPECT_EQ(shortened(text.substr(0, 1024)), text.substr(0, 1024));
  EXPECT_EQ(shortened(""), "");
}

TEST(ResultTest, CutsBetweenCharacters) {
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += "\U0001F600";
  for (int shift = 0; shift < 4; ++shift) {
    const std::string shown = shortened(std::string(size_t(shift), 'x') + text + "y");
    EXPECT_EQ(shown.find("\U0001F600 ... ("), shown.find(" ... (") - 4) << shift;
    EXPECT_NE(shown.find("left out) ... \U0001F600"), shown.npos) << shift;
  }
}

TEST(ResultTest, FailShortensWhatItIsGivenOnce) {
  const std::string name(100'000, 'n');
  const Error inner = fail("'{}': expected {}, found {}", name, "a number", 7).value();
  EXPECT_LT(inner.message.size(), 500u);
  const Error outer = fail("{}: {}", "config.json", inner.message).value();
  EXPECT_EQ(outer.message, "config.json: " + inner.message);
}

} // namespace
