// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/Random.h"
#include <gtest/gtest.h>

using namespace sinter;
using Words = std::array<uint32_t, 4>;

// The known answers that the authors publish with their code (Random123, kat_vectors).
TEST(RandomTest, PhiloxGivesThePublishedAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t all = 0xffffffff;
  EXPECT_EQ(philox({all, all, all, all}, {all, all}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomTest, UniformNumbersFillTheInterval) {
  double sum = 0, squares = 0;
  const int count = 100000;
  for (int i = 0; i < count; ++i) {
    const double x = uniform(7, 3, uint64_t(i));
    ASSERT_GE(x, 0);
    ASSERT_LT(x, 1);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / count, 0.5, 0.004); // 4 standard errors
  EXPECT_NEAR(squares / count, 1.0 / 3, 0.004);
}

TEST(RandomTest, SeedStreamAndIndexEachChangeTheNumber) {
  EXPECT_NE(uniform(1, 0, 0), uniform(2, 0, 0));
  EXPECT_NE(uniform(1, 0, 0), uniform(1, 1, 0));
  EXPECT_NE(uniform(1, 0, 0), uniform(1, 0, 1));
  EXPECT_NE(uniform(1, 0, 0), uniform(1ull << 32 | 1, 0, 0));
}
