// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/Distribution.h"
#include "runtime/generate/Random.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <numeric>

using namespace sinter;

namespace {
std::vector<float> randomLogits(size_t count, uint64_t seed, float spread = 20) {
  std::vector<float> logits(count);
  for (size_t i = 0; i < count; ++i)
    logits[i] = float((uniform(seed, 0, i) - 0.5) * spread);
  return logits;
}
} // namespace

TEST(DistributionTest, LogSumExpOfWhatIsNotFinite) {
  EXPECT_TRUE(std::isnan(logSumExp(std::vector<float>{1, NAN, 2})));
  EXPECT_EQ(logSumExp(std::vector<float>(40, -INFINITY)), -INFINITY);
  EXPECT_EQ(logSumExp(std::vector<float>{1, INFINITY, 2}), INFINITY);
}

TEST(DistributionTest, LogSumExpEqualsTheDirectSum) {
  for (size_t count : {1, 3, 15, 16, 17, 255, 256, 257, 49152, 100003}) {
    const std::vector<float> logits = randomLogits(count, count, 60);
    long double sum = 0;
    for (float each : logits)
      sum += std::exp((long double)each);
    EXPECT_NEAR(logSumExp(logits), double(std::log(sum)),
                3e-7 * std::max(1.0, std::fabs(double(std::log(sum)))))
        << count;
  }
}

TEST(DistributionTest, SumOfExponentialsIgnoresImpossibleTokens) {
  const float none = -std::numeric_limits<float>::infinity();
  EXPECT_EQ(sumWeights(std::vector<float>{none, 1, none, -200}, 1, 1), 1ull << 44);
}

TEST(DistributionTest, SumsOfWeightsAreExact) {
  for (size_t count : {1, 15, 16, 17, 256, 257, 10007})
    for (float scale : {0.01f, 1.0f, 3.7f, 1e30f}) {
      const std::vector<float> logits = randomLogits(count, count, 60);
      const float largest = findPeak(logits).largest;
      uint64_t sum = 0;
      for (float each : logits) {
        const uint64_t weight = weightOf(each, largest, scale);
        const double exact = std::exp(double(each - largest) * double(scale)) * 0x1p44;
        EXPECT_NEAR(double(weight), exact, 1 + 8e-6 * exact) << each;
        sum += weight;
      }
      EXPECT_EQ(sumWeights(logits, largest, scale), sum) << count;
      std::vector<uint64_t> blocks((count + size_t(weightBlock) - 1) / size_t(weightBlock));
      sumWeightBlocks(logits, largest, scale, blocks);
      EXPECT_EQ(std::accumulate(blocks.begin(), blocks.end(), uint64_t(0)), sum) << count;
    }
}

TEST(DistributionTest, FindPeakCountsNumbersThatAreNone) {
  std::vector<float> logits = randomLogits(1000, 5);
  EXPECT_EQ(findPeak(logits).nans, 0);
  EXPECT_EQ(findPeak(logits).largest, *std::max_element(logits.begin(), logits.end()));
  logits[3] = logits[998] = std::nanf("");
  EXPECT_EQ(findPeak(logits).nans, 2);
}

TEST(DistributionTest, SelectBestEqualsSorting) {
  for (size_t count : {1, 2, 63, 64, 65, 5000, 49152})
    for (int64_t k : {0, 1, 2, 40, 300, 1025, 100000}) {
      std::vector<float> logits = randomLogits(count, count + size_t(k));
      for (float &each : logits)
        each = std::round(each * 8) / 8; // many ties
      std::vector<Candidate> all, best;
      for (size_t i = 0; i < count; ++i)
        all.push_back({logits[i], int32_t(i)});
      std::sort(all.begin(), all.end(), better);
      selectBest(logits, k, best);
      ASSERT_EQ(best.size(), std::min(count, size_t(k)));
      for (size_t i = 0; i < best.size(); ++i)
        ASSERT_EQ(best[i].id, all[i].id) << count << " " << k << " " << i;
    }
}

TEST(DistributionTest, ArgmaxTakesTheFirstOfEquals) { EXPECT_EQ(argmax(std::vector<float>{1, 5, 3, 5}), 1); }
