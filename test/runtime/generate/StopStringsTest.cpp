// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/StopStrings.h"
#include <gtest/gtest.h>

using namespace sinter;

namespace {

/// What is shown of `text` given in pieces of `size` bytes.
std::string shown(std::vector<std::string> stops, std::string_view text, size_t size, bool &stopped) {
  StopStrings strings(std::move(stops));
  std::string out;
  stopped = false;
  for (size_t at = 0; at < text.size() && !stopped; at += size)
    stopped = strings.push(text.substr(at, size), out);
  if (!stopped)
    strings.flush(out);
  return out;
}

} // namespace

TEST(StopStringsTest, TheStringAndWhatFollowsAreNotShownWhateverThePieces) {
  bool stopped;
  for (size_t size = 1; size < 12; ++size) {
    EXPECT_EQ(shown({"stop"}, "go on stop here", size, stopped), "go on ");
    EXPECT_TRUE(stopped);
    EXPECT_EQ(shown({"stop"}, "sto sto st", size, stopped), "sto sto st");
    EXPECT_FALSE(stopped);
    EXPECT_EQ(shown({"aab"}, "aaaab", size, stopped), "aa");
    EXPECT_EQ(shown({"xyz", "b"}, "axyb", size, stopped), "axy");
    EXPECT_EQ(shown({}, "all of it", size, stopped), "all of it");
    EXPECT_EQ(shown({""}, "an empty one", size, stopped), "an empty one");
  }
}

TEST(StopStringsTest, OnlyWhatMayBecomeAStopStringIsHeldBack) {
  StopStrings strings({"\nUser:"});
  std::string out;
  EXPECT_FALSE(strings.push("hello", out));
  EXPECT_EQ(out, "hello");
  EXPECT_FALSE(strings.push("\nUs", out));
  EXPECT_EQ(out, "hello");
  EXPECT_FALSE(strings.push("ed", out));
  EXPECT_EQ(out, "hello\nUsed");
}
