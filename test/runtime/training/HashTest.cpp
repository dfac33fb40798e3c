// SPDX-License-Identifier: Apache-2.0
#include "runtime/data/Hash.h"
#include <gtest/gtest.h>
#include <string>

namespace sinter::data {
namespace {

TEST(PiecewiseHash64, isTheHashOfTheWholeWhereverItIsCut) {
  std::string text;
  for (int i = 0; i < 5000; ++i)
    text += char(i * 31 % 251);
  for (const uint64_t seed : {uint64_t(0), uint64_t(7), ~uint64_t(0)})
    for (const size_t length : {0, 1, 240, 241, 1024, 5000})
      for (const size_t piece : {1, 13, 255, 4096}) {
        const std::string_view whole = std::string_view(text).substr(0, length);
        PiecewiseHash64 hash(seed);
        for (size_t at = 0; at < length; at += piece)
          hash.add(whole.substr(at, piece));
        EXPECT_EQ(hash.value(), hash64(whole, seed)) << seed << ", " << length << " in pieces of " << piece;
      }
}

} // namespace
} // namespace sinter::data
