// SPDX-License-Identifier: Apache-2.0
// kernel.peaks and kernel.sample draw the very tokens that the host's sampler draws from the same logits.
#include "dialects/kernel/Kernel.h"
#include "runtime/generate/Sampler.h"
#include "test/execute/KernelRunner.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <limits>
#include <map>
#include <random>

namespace sinter::test {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

class Sampling : public testing::TestWithParam<gpu::Architecture> {};

/// Both kernels for rows of `vocabulary` logits.
class DeviceSampler {
public:
  DeviceSampler(int64_t vocabulary, gpu::Architecture architecture)
      : vocabulary(vocabulary), chunks(kernel::samplingChunks(vocabulary)),
        runner(fmt::format(
                   "kernel.func @peaks(%l: !kernel.rows<{0}xf32>, %p: !kernel.rows<{1}xf32>) {{\n"
                   "kernel.peaks logits(%l : !kernel.rows<{0}xf32>) peaks(%p : !kernel.rows<{1}xf32>)\n}}\n"
                   "kernel.func @sample(%l: !kernel.rows<{0}xf32>, %p: !kernel.rows<{1}xf32>, "
                   "%t: !kernel.rows<1xi32>) {{\n"
                   "kernel.sample logits(%l : !kernel.rows<{0}xf32>) peaks(%p : !kernel.rows<{1}xf32>) "
                   "drawn(%t : !kernel.rows<1xi32>)\n}}\n",
                   vocabulary, chunks),
               architecture) {}

  /// Draws from rows of logits. The tokens, one a plan.
  std::vector<int32_t> draw(const std::vector<std::vector<float>> &rows, std::vector<sinter_sampling> plans,
                            std::vector<sinter_adjustment> adjustments = {}) {
    AlignedBytes logits(rows.size() * size_t(vocabulary) * 4), peaks(rows.size() * size_t(chunks) * 4, 0xff),
        drawn(plans.size() * 4, 0xfe);
    for (size_t i = 0; i < rows.size(); ++i)
      std::copy(rows[i].begin(), rows[i].end(), logits.as<float>() + i * size_t(vocabulary));
    sinter_step step{};
    step.rows = step.selected = int64_t(rows.size());
    step.draws = int64_t(plans.size());
    step.sampling = plans.data();
    step.adjustments = adjustments.empty() ? nullptr : adjustments.data();
    runner.run("peaks", {logits.data(), peaks.data()}, step, 0, 1);
    runner.run("sample", {logits.data(), peaks.data(), drawn.data()}, step, 0, 1);
    EXPECT_TRUE(peaks.isIntact() && drawn.isIntact());
    return {drawn.as<int32_t>(), drawn.as<int32_t>() + plans.size()};
  }

private:
  int64_t vocabulary, chunks;
  KernelRunner runner;
};

/// Options of every kind and order, extreme numbers among them.
SamplerOptions someOptions(std::mt19937 &random, int64_t vocabulary) {
  const auto one = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  SamplerOptions o;
  o.seed = uint64_t(random()) << 32 | random();
  o.temperature = one(0.0f, 1e-40f, 0.3f, 0.8f, 1.0f, 1.7f, 1e4f, std::numeric_limits<float>::max());
  o.topK = one(0, 0, 1, 2, 5, 40, 300, int32_t(vocabulary), std::numeric_limits<int32_t>::max());
  o.topP = one(0.0f, 0.1f, 0.5f, 0.9f, 0.99f, std::nextafter(1.0f, 0.0f), 1.0f, 1.0f);
  o.minP = one(0.0f, 0.0f, std::numeric_limits<float>::min(), 0.01f, 0.3f, 1.0f);
  o.order = {Filter::TopK, Filter::TopP, Filter::MinP, Filter::Temperature, Filter::Penalties};
  std::shuffle(o.order.begin(), o.order.end(), random);
  o.order.resize(random() % 3 ? 5 : random() % 6);
  return o;
}

/// Logits of several kinds: spread, with many ties, flat, all equal, mostly impossible, enormous.
std::vector<float> someLogits(std::mt19937 &random, int64_t vocabulary, int kind) {
  std::normal_distribution<float> normal;
  std::vector<float> logits(static_cast<size_t>(vocabulary));
  for (float &each : logits) {
    const float x = normal(random);
    each = kind == 0   ? 3 * x
           : kind == 1 ? std::round(4 * x) / 2 // zeros of both signs
           : kind == 2 ? 1e-3f * x - 30
           : kind == 3 ? 1.5f
           : kind == 4 ? (random() % 50 ? -infinity : x)
                       : x * 1e37f;
  }
  if (kind == 4)
    logits[random() % logits.size()] = 2;
  return logits;
}

TEST_P(Sampling, DrawsTheTokenThatTheHostDraws) {
  std::mt19937 random(7);
  for (int64_t vocabulary : {1, 2, 255, 256, 257, 1000, 50257, 70001}) {
    DeviceSampler device(vocabulary, GetParam());
    const int draws = vocabulary > 10000 ? 36 : 120;
    std::vector<std::vector<float>> rows;
    for (int kind = 0; kind < 6; ++kind)
      rows.push_back(someLogits(random, vocabulary, kind));
    std::vector<sinter_sampling> plans;
    std::vector<int32_t> expected;
    for (int i = 0; i < draws; ++i) {
      Sampler host(someOptions(random, vocabulary), vocabulary);
      const uint64_t stream = random() % 3, index = uint64_t(random()) << (i % 33);
      plans.push_back(host.forDevice(stream, index));
      plans.back().row = i % int(rows.size());
      const Result<int32_t> token = host.sample(rows[size_t(plans.back().row)], {}, stream, index);
      ASSERT_TRUE(token.has_value()) << token.error().message;
      expected.push_back(*token);
    }
    const std::vector<int32_t> drawn = device.draw(rows, plans);
    for (int i = 0; i < draws; ++i) {
      const sinter_sampling &plan = plans[size_t(i)];
      std::string text = fmt::format("scale {}", plan.scale);
      for (uint32_t f = 0; f < plan.filter_count; ++f)
        text += fmt::format(", filter {} scale {} offset {} amount {}", plan.filters[f].kind,
                            plan.filters[f].scale, plan.filters[f].offset, plan.filters[f].amount);
      EXPECT_EQ(drawn[size_t(i)], expected[size_t(i)])
          << vocabulary << " logits of kind " << plan.row << ", " << text;
    }
  }
}

TEST_P(Sampling, AdjustsLogitsAsTheHostDoesBeforeItDraws) {
  std::mt19937 random(13);
  const auto one = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  for (int64_t vocabulary : {1, 257, 1000, 50257}) {
    DeviceSampler device(vocabulary, GetParam());
    std::vector<std::vector<float>> rows;
    std::vector<sinter_sampling> plans;
    std::vector<sinter_adjustment> adjustments;
    std::vector<int32_t> expected;
    for (int32_t row = 0; row < 40; ++row) {
      rows.push_back(someLogits(random, vocabulary, one(0, 1, 2, 3)));
      SamplerOptions o = someOptions(random, vocabulary);
      if (std::find(o.order.begin(), o.order.end(), Filter::Penalties) == o.order.end())
        o.order.push_back(Filter::Penalties);
      o.repeatPenalty = one(1.0f, 1.3f, 0.7f, 5.0f);
      o.presencePenalty = one(0.0f, 0.37f, -2.0f);
      o.frequencyPenalty = one(0.0f, 0.13f);
      o.repeatLastN = one(0, 3, 64, 64);
      const auto token = [&] { return int32_t(random() % uint64_t(vocabulary)); };
      std::vector<int32_t> history(random() % 100);
      for (int32_t &each : history) // some of them often, and the likeliest one
        each = random() % 2
                   ? int32_t(std::max_element(rows.back().begin(), rows.back().end()) - rows.back().begin())
                   : token();
      std::map<int32_t, float> bias;
      for (int i = one(0, 0, 1, 9); i > 0; --i)
        bias[random() % 3 || history.empty() ? token() : history[0]] =
            vocabulary > 1 ? one(-infinity, 2.5f, -0.3f) : 1;
      o.logitBias.assign(bias.begin(), bias.end());
      Sampler host(o, vocabulary);
      const std::optional<int64_t> most = host.mostAdjustments();
      ASSERT_TRUE(most);
      plans.push_back(host.forDevice(1, uint64_t(row)));
      plans.back().row = row;
      plans.back().adjustment_count = host.adjustmentsForDevice(history, adjustments);
      EXPECT_LE(plans.back().adjustment_count, *most);
      const Result<int32_t> drawn = host.sample(rows.back(), history, 1, uint64_t(row));
      expected.push_back(drawn.value_or(-1));
    }
    EXPECT_EQ(device.draw(rows, plans, adjustments), expected) << vocabulary << " logits";
  }
}

TEST(Adjustments, HaveNoBoundWhereAllTokensArePenalisedOrBiasNamesATokenTwice) {
  SamplerOptions o;
  o.repeatPenalty = 1.1f;
  o.logitBias = {{3, 1.0f}, {4, 1.0f}};
  EXPECT_EQ(Sampler(o, 10).mostAdjustments(), 66);
  o.repeatLastN = -1;
  EXPECT_EQ(Sampler(o, 10).mostAdjustments(), std::nullopt);
  o.repeatPenalty = 1;
  EXPECT_EQ(Sampler(o, 10).mostAdjustments(), 2);
  o.logitBias.push_back({3, 2.0f});
  EXPECT_EQ(Sampler(o, 10).mostAdjustments(), std::nullopt);
}

// 4 standard deviations would come by chance once in 30,000; the seed is fixed.
TEST_P(Sampling, DrawsFromTheSoftmax) {
  constexpr int64_t vocabulary = 300;
  constexpr int draws = 600;
  std::mt19937 random(11);
  const std::vector<float> logits = someLogits(random, vocabulary, 0);
  SamplerOptions o;
  o.temperature = 1.3f;
  o.topK = 30;
  o.topP = 1;
  o.minP = 0;
  o.seed = 5;
  std::vector<std::pair<float, int32_t>> best;
  for (int32_t id = 0; id < vocabulary; ++id)
    best.emplace_back(-logits[size_t(id)], id);
  std::sort(best.begin(), best.end());
  best.resize(30);
  double sum = 0;
  for (auto [negative, id] : best)
    sum += std::exp(-double(negative) / 1.3);
  Sampler host(o, vocabulary);
  std::vector<sinter_sampling> plans;
  for (int i = 0; i < draws; ++i)
    plans.push_back(host.forDevice(2, uint64_t(i)));
  std::vector<int> counts(vocabulary);
  for (int32_t token : DeviceSampler(vocabulary, GetParam()).draw({logits}, plans))
    ++counts.at(size_t(token));
  double statistic = 0;
  int cells = 0, inBest = 0;
  for (auto [negative, id] : best) {
    const double expected = draws * std::exp(-double(negative) / 1.3) / sum;
    inBest += counts[size_t(id)];
    if (expected < 5)
      continue;
    statistic += std::pow(counts[size_t(id)] - expected, 2) / expected;
    ++cells;
  }
  EXPECT_EQ(inBest, draws) << "tokens that top_k drops";
  ASSERT_GT(cells, 5);
  const double k = cells - 1; // Wilson and Hilferty, 1931
  EXPECT_LT((std::cbrt(statistic / k) - (1 - 2 / (9 * k))) / std::sqrt(2 / (9 * k)), 4);
}

TEST_P(Sampling, LogitsFromWhichNoneCanBeDrawnGiveNoToken) {
  constexpr int64_t vocabulary = 600;
  std::mt19937 random(3);
  std::vector<std::vector<float>> rows(4, someLogits(random, vocabulary, 0));
  rows[0][599] = std::nanf("");
  rows[1].assign(vocabulary, -infinity);
  rows[2][0] = infinity;
  SamplerOptions o;
  o.temperature = 0;
  Sampler host(o, vocabulary);
  std::vector<sinter_sampling> plans(4, host.forDevice(0, 0));
  for (int32_t row = 0; row < 4; ++row)
    plans[size_t(row)].row = row;
  const int32_t best = *host.sample(rows[3], {}, 0, 0);
  EXPECT_EQ(DeviceSampler(vocabulary, GetParam()).draw(rows, plans),
            (std::vector<int32_t>{-1, -1, -1, best}));
}

INSTANTIATE_TEST_SUITE_P(All, Sampling, testing::Values(gpu::Architecture::Sm80, gpu::Architecture::Sm90),
                         [](const auto &info) { return gpu::nameOf(info.param).str(); });

} // namespace
} // namespace sinter::test
