// SPDX-License-Identifier: Apache-2.0
// Drawn tokens against the distribution that a plain double-precision implementation of the filters gives.
#include "runtime/generate/Sampler.h"
#include "runtime/generate/Random.h"
#include "test/Sanitized.h"
#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>

using namespace sinter;

namespace {

std::vector<float> someLogits(size_t count, uint64_t seed) {
  std::vector<float> logits(count);
  for (size_t i = 0; i < count; ++i)
    logits[i] = float(std::sqrt(-2 * std::log(1 - uniform(seed, 1, i))) *
                      std::cos(6.283185307 * uniform(seed, 2, i)) * 2);
  return logits;
}

/// The filters as their definitions read, one probability a token.
std::vector<double> expected(const SamplerOptions &o, std::vector<float> given,
                             std::span<const int32_t> history) {
  std::vector<double> logits(given.begin(), given.end());
  for (const auto &[id, bias] : o.logitBias)
    logits[size_t(id)] += bias;
  for (Filter filter : o.order) {
    if (filter == Filter::Penalties) {
      std::map<int32_t, int> counts;
      const size_t last =
          o.repeatLastN < 0 ? history.size() : std::min(history.size(), size_t(o.repeatLastN));
      for (int32_t id : history.last(last))
        ++counts[id];
      for (const auto &[id, count] : counts) {
        double &x = logits[size_t(id)];
        x = x <= 0 ? x * o.repeatPenalty : x / o.repeatPenalty;
        x -= count * o.frequencyPenalty + o.presencePenalty;
      }
    }
    std::vector<size_t> order(logits.size());
    for (size_t i = 0; i < order.size(); ++i)
      order[i] = i;
    std::sort(order.begin(), order.end(),
              [&](size_t a, size_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); });
    double sum = 0;
    for (double x : logits)
      sum += std::exp(x);
    const auto drop = [&](size_t rank) { logits[order[rank]] = -std::numeric_limits<double>::infinity(); };
    if (filter == Filter::TopK && o.topK > 0)
      for (size_t rank = size_t(o.topK); rank < order.size(); ++rank)
        drop(rank);
    if (filter == Filter::TopP && o.topP < 1) {
      double reached = 0;
      for (size_t rank = 0; rank < order.size(); ++rank) {
        const double p = std::exp(logits[order[rank]]) / sum;
        if (reached >= o.topP)
          drop(rank);
        reached += p;
      }
    }
    if (filter == Filter::MinP)
      for (size_t rank = 1; rank < order.size(); ++rank)
        if (std::exp(logits[order[rank]] - logits[order[0]]) < o.minP)
          drop(rank);
    if (filter == Filter::Temperature)
      for (double &x : logits)
        x /= o.temperature;
  }
  double sum = 0;
  const double largest = *std::max_element(logits.begin(), logits.end());
  for (double &x : logits)
    sum += x = std::exp(x - largest);
  for (double &x : logits)
    x /= sum;
  return logits;
}

/// Pearson's statistic of `draws` draws, in standard deviations above its mean (Wilson and Hilferty, 1931).
/// Cells that expect fewer than 5 draws are taken together. A token of probability 0 must never come.
double deviation(const SamplerOptions &options, const std::vector<float> &logits,
                 std::span<const int32_t> history, int draws) {
  const std::vector<double> p = expected(options, logits, history);
  Sampler sampler(options, int64_t(logits.size()));
  std::vector<int> counts(logits.size());
  for (int i = 0; i < draws; ++i) {
    const Result<int32_t> token = sampler.sample(logits, history, 0, uint64_t(i));
    EXPECT_TRUE(token.has_value());
    ++counts[size_t(*token)];
    if (i == 0)
      for (size_t id = 0; id < p.size(); ++id)
        EXPECT_NEAR(sampler.drawProbability(int32_t(id)), p[id], 2e-6) << id;
  }
  double statistic = 0, restExpected = 0;
  int cells = 0, rest = 0;
  for (size_t id = 0; id < p.size(); ++id) {
    if (p[id] == 0) {
      EXPECT_EQ(counts[id], 0) << "token " << id << " was dropped";
    }
    if (p[id] * draws < 5) {
      restExpected += p[id] * draws;
      rest += counts[id];
      continue;
    }
    statistic += std::pow(counts[id] - p[id] * draws, 2) / (p[id] * draws);
    ++cells;
  }
  if (restExpected > 1) {
    statistic += std::pow(rest - restExpected, 2) / restExpected;
    ++cells;
  }
  const double k = cells - 1;
  if (k < 1)
    return 0;
  return (std::cbrt(statistic / k) - (1 - 2 / (9 * k))) / std::sqrt(2 / (9 * k));
}

SamplerOptions nothing() {
  SamplerOptions o;
  o.temperature = 1;
  o.topK = 0;
  o.topP = 1;
  o.minP = 0;
  o.seed = 42;
  return o;
}

// Seeds are fixed, so a passing test always passes; 4 sigma would come by chance once in 30,000.
constexpr double tolerance = 4;
constexpr int manyDraws = sanitized ? 2000 : 100000;

TEST(SamplerTest, EachFilterDrawsFromItsDistribution) {
  const std::vector<float> logits = someLogits(1000, 3);
  const std::vector<int32_t> history = {1, 5, 5, 7, 900, 5};
  SamplerOptions o = nothing();
  EXPECT_LT(deviation(o, logits, history, manyDraws), tolerance) << "plain";
  o.temperature = 0.5f;
  EXPECT_LT(deviation(o, logits, history, manyDraws), tolerance) << "temperature";
  o = nothing();
  o.topK = 13;
  EXPECT_LT(deviation(o, logits, history, manyDraws), tolerance) << "top_k";
  o = nothing();
  o.topP = 0.7f;
  EXPECT_LT(deviation(o, logits, history, manyDraws), tolerance) << "top_p";
  o = nothing();
  o.minP = 0.1f;
  EXPECT_LT(deviation(o, logits, history, manyDraws), tolerance) << "min_p";
  o = nothing();
  o.repeatPenalty = 1.7f;
  o.presencePenalty = 0.5f;
  o.frequencyPenalty = 0.25f;
  EXPECT_LT(deviation(o, logits, history, manyDraws), tolerance) << "penalties";
  o = nothing();
  o.logitBias = {{5, 9.0f}, {6, -std::numeric_limits<float>::infinity()}};
  EXPECT_LT(deviation(o, logits, history, manyDraws), tolerance) << "bias";
}

TEST(SamplerTest, CombinedFiltersDrawFromTheirDistributionInAnyOrder) {
  const std::vector<int32_t> history = {3, 3, 8, 299, 1};
  std::vector<Filter> order = {Filter::TopK, Filter::TopP, Filter::MinP, Filter::Temperature};
  int round = 0;
  do {
    const std::vector<float> logits = someLogits(300, 100 + uint64_t(round));
    SamplerOptions o = nothing();
    o.seed = uint64_t(round);
    o.temperature = round % 2 ? 0.8f : 1.6f;
    o.topK = 60;
    o.topP = 0.9f;
    o.minP = 0.03f;
    o.repeatPenalty = 1.2f;
    o.order = {Filter::Penalties};
    o.order.insert(o.order.end(), order.begin(), order.end());
    EXPECT_LT(deviation(o, logits, history, manyDraws / 5), tolerance) << "order " << round;
    ++round;
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(SamplerTest, ARepetitionWindowForgetsOlderTokens) {
  const std::vector<float> logits = someLogits(50, 9);
  const std::vector<int32_t> history = {1, 2, 3, 4, 5, 6, 7, 8};
  for (int window : {-1, 0, 1, 3, 100}) {
    SamplerOptions o = nothing();
    o.repeatPenalty = 3;
    o.repeatLastN = window;
    EXPECT_LT(deviation(o, logits, history, manyDraws / 5), tolerance) << window;
  }
}

TEST(SamplerTest, TemperatureZeroTakesTheBest) {
  std::vector<float> logits = someLogits(500, 4);
  SamplerOptions o;
  o.temperature = 0;
  Sampler sampler(o, 500);
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  for (uint64_t i = 0; i < 20; ++i)
    EXPECT_EQ(*sampler.sample(logits, {}, i, i), best);
}

TEST(SamplerTest, TheSmallestTemperaturesTakeTheBestToo) {
  std::vector<float> logits = someLogits(500, 4);
  const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
  for (float temperature : {1e-37f, 1e-38f, 1e-40f, std::numeric_limits<float>::denorm_min()}) {
    SamplerOptions o;
    o.temperature = temperature;
    Sampler sampler(o, 500);
    for (uint64_t i = 0; i < 20; ++i)
      EXPECT_EQ(*sampler.sample(logits, {}, i, i), best) << temperature;
  }
}

TEST(SamplerTest, DrawsDependOnSeedStreamAndIndexOnly) {
  const std::vector<float> logits = someLogits(500, 4);
  SamplerOptions o = nothing();
  Sampler a(o, 500), b(o, 500);
  std::vector<int32_t> forwards, backwards;
  for (uint64_t i = 0; i < 50; ++i)
    forwards.push_back(*a.sample(logits, {}, 2, i));
  for (uint64_t i = 50; i-- > 0;)
    backwards.insert(backwards.begin(), *b.sample(logits, {}, 2, i));
  EXPECT_EQ(forwards, backwards);
}

TEST(SamplerTest, SaysWhichFilterDroppedAToken) {
  const std::vector<float> logits = {10, 9.9f, 7, 6.9f, 1, 0};
  SamplerOptions o = nothing();
  o.topK = 5;
  o.minP = 0.01f;
  o.topP = 0.9f;
  Sampler sampler(o, 6);
  ASSERT_TRUE(sampler.sample(logits, {}, 0, 0));
  EXPECT_EQ(sampler.droppedBy(0), nullptr);
  EXPECT_EQ(sampler.droppedBy(1), nullptr);
  EXPECT_STREQ(sampler.droppedBy(3), "top_p");
  EXPECT_STREQ(sampler.droppedBy(5), "top_k");
}

TEST(SamplerTest, LogitsThatAreNoNumbersAreAnError) {
  std::vector<float> logits = someLogits(100, 1);
  logits[17] = std::nanf("");
  Sampler sampler(nothing(), 100);
  const Result<int32_t> token = sampler.sample(logits, {}, 0, 0);
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().message, "1 of 100 logits are not a number (NaN) after 0 tokens");
  const std::vector<float> none(100, -std::numeric_limits<float>::infinity());
  EXPECT_EQ(sampler.sample(none, {}, 0, 0).error().message,
            "no token can be drawn: the largest of 100 logits is -inf");
}

TEST(SamplerTest, FilterNamesAreParsedInOrder) {
  EXPECT_EQ(*parseFilters("temp;top-p,penalties"),
            (std::vector<Filter>{Filter::Temperature, Filter::TopP, Filter::Penalties}));
  EXPECT_EQ(parseFilters("top_k;xtc").error().message,
            "expected penalties, top_k, top_p, min_p or temperature, found 'xtc'");
  EXPECT_EQ(parseFilters("top_k;top_k").error().message, "'top_k' is given twice");
}

} // namespace
