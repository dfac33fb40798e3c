// SPDX-License-Identifier: Apache-2.0
// Mixtures of experts against naive code: the choice, the sorting by expert, and products of dispatched rows.
#include "test/execute/MatmulCase.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <numeric>
#include <random>

namespace sinter::test {
namespace {

class Experts : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }
};

struct Routed {
  std::vector<float> weights;
  std::vector<int32_t> chosen;
};

/// Runs kernel.route on (rows, experts) logits.
Routed route(Machine machine, const std::vector<float> &logits, int64_t experts, int64_t k, bool normalise) {
  KernelRunner runner(fmt::format(R"(
kernel.func @route(%l: !kernel.rows<{0}xf32>, %w: !kernel.rows<{1}xf32>, %c: !kernel.rows<{1}xi32>) {{
  kernel.route {2} logits(%l : !kernel.rows<{0}xf32>) weights(%w : !kernel.rows<{1}xf32>)
      chosen(%c : !kernel.rows<{1}xi32>) over(rows)
}})",
                                  experts, k, normalise ? "normalise" : ""),
                      machine);
  sinter_step step{};
  step.rows = static_cast<int64_t>(logits.size()) / experts;
  Routed routed{std::vector<float>(step.rows * k, NAN), std::vector<int32_t>(step.rows * k, -1)};
  if (runner)
    runner.run("route", {const_cast<float *>(logits.data()), routed.weights.data(), routed.chosen.data()},
               step, 0, step.rows);
  return routed;
}

TEST_P(Experts, ChoosesTheMostProbableExperts) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 3);
  for (auto [experts, k] : {std::pair(1, 1), {3, 2}, {8, 2}, {17, 17}, {60, 4}, {128, 8}})
    for (bool normalise : {false, true}) {
      constexpr int64_t rows = 17;
      std::vector<float> logits(rows * experts);
      for (float &logit : logits)
        logit = normal(random);
      if (experts > 2)
        logits[1] = logits[2] = 20; // equal ones in order of number
      Routed found = route(GetParam(), logits, experts, k, normalise);
      for (int64_t row = 0; row < rows; ++row) {
        const float *x = &logits[row * experts];
        std::vector<int32_t> order(experts);
        std::iota(order.begin(), order.end(), 0);
        std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return x[a] > x[b]; });
        double sum = 0;
        for (int i = 0; i < (normalise ? k : experts); ++i)
          sum += std::exp(static_cast<double>(x[order[i]]) - x[order[0]]);
        for (int j = 0; j < k; ++j) {
          ASSERT_EQ(found.chosen[row * k + j], order[j])
              << experts << " experts, row " << row << ", choice " << j;
          double expected = std::exp(static_cast<double>(x[order[j]]) - x[order[0]]) / sum;
          // The exponent is rounded twice to f32 (difference, base 2): relative 2^-24 of it each; the rest is
          // 1e-6.
          double tolerance = expected * (1e-6 + std::ldexp(x[order[0]] - x[order[j]], -23));
          ASSERT_NEAR(found.weights[row * k + j], expected, tolerance) << experts << " experts, row " << row;
        }
      }
    }
}

TEST_P(Experts, ChoosesSomeExpertWhereNoLogitIsANumber) {
  Routed found = route(GetParam(), {NAN, NAN, NAN, -INFINITY, -INFINITY, -INFINITY}, 3, 2, true);
  for (int32_t expert : found.chosen)
    EXPECT_TRUE(expert >= 0 && expert < 3) << "found " << expert;
}

TEST_P(Experts, SortsRowsByExpertAndKeepsTheirOrder) {
  KernelRunner runner(R"(
kernel.func @dispatch(%c: !kernel.rows<2xi32>, %p: !kernel.rows<2xi32>, %s: !kernel.segments<5>) {
  kernel.dispatch chosen(%c : !kernel.rows<2xi32>) places(%p : !kernel.rows<2xi32>) segments(%s : !kernel.segments<5>)
      over(rows)
})",
                      GetParam());
  ASSERT_TRUE(runner);
  std::vector<int32_t> chosen = {4, 0, 0, 2, 4, 2}, places(6, -1), segments(6, -1);
  sinter_step step{};
  step.rows = 3;
  runner.run("dispatch", {chosen.data(), places.data(), segments.data()}, step, 0, 1);
  EXPECT_EQ(segments, (std::vector<int32_t>{0, 2, 2, 4, 4, 6}));
  EXPECT_EQ(places, (std::vector<int32_t>{4, 0, 1, 2, 5, 3}));
}

/// Experts without rows, with one, and with more than a tile has.
const std::vector<int32_t> segmentLists[] = {{0, 0, 1, 1}, {0, 0, 3, 3, 3, 4, 21, 21}, {0, 17, 58}};

struct Format {
  std::string name;
  int64_t inputs;
  LeftKind prefillLeft;
};
const Format formats[] = {
    {"f32", 75, LeftKind::F32},  {"f16", 75, LeftKind::F32},  {"bf16", 75, LeftKind::F32},
    {"q8_0", 96, LeftKind::Q8},  {"q4_0", 96, LeftKind::Q8},  {"q4_1", 96, LeftKind::Q8},
    {"q5_0", 96, LeftKind::Q8},  {"q5_1", 96, LeftKind::Q8},  {"q2_k", 512, LeftKind::Q8},
    {"q3_k", 512, LeftKind::Q8}, {"q4_k", 512, LeftKind::Q8}, {"q5_k", 512, LeftKind::Q8},
    {"q6_k", 512, LeftKind::Q8}};

/// Tensor cores multiply in the type of the weights: as loose as their own tests.
double toleranceOf(Machine machine, bool prefill, const std::string &format) {
  if (machine.isGpu())
    return !prefill ? 2e-6 : format == "bf16" ? 2.1e-3 : format == "f16" ? 5e-4 : 2e-6;
  return toleranceOnCpu({.format = format, .rowsPerTile = prefill ? 16 : 0}, machine.isa);
}

TEST_P(Experts, MultiplyTheirOwnRowsInEveryFormat) {
  for (const Format &format : formats)
    for (const std::vector<int32_t> &segments : segmentLists)
      for (bool prefill : {false, true}) {
        // 40 outputs: an expert begins in the middle of a panel.
        MatmulCase c{.format = format.name, .rows = segments.back(), .outputs = 40, .inputs = format.inputs};
        c.left = prefill ? format.prefillLeft : LeftKind::F32;
        c.columnsPerTile = 16;
        c.schedule = prefill ? "rows_per_tile = 16, columns_per_tile = 16" : "columns_per_tile = 16";
        c.segments = segments;
        KernelRunner runner(c.text(), GetParam());
        ASSERT_TRUE(runner);
        MatmulData(c, 1).check(runner, 4, toleranceOf(GetParam(), prefill, format.name));
      }
}

TEST_P(Experts, MultiplyRowsOfTheWeightsType) {
  for (const char *format : {"f16", "bf16"})
    for (const std::vector<int32_t> &segments : segmentLists)
      for (int64_t columns : {16, 64}) {
        MatmulCase c{.format = format, .rows = segments.back(), .outputs = 72, .inputs = 136};
        c.left = LeftKind::Half;
        c.columnsPerTile = columns;
        c.schedule = fmt::format("rows_per_tile = 64, columns_per_tile = {}", columns);
        c.segments = segments;
        KernelRunner runner(c.text(), GetParam());
        ASSERT_TRUE(runner);
        MatmulData(c, 1).check(runner, 4);
      }
}

TEST_P(Experts, GiveTheSameNumbersHoweverTheTilesAreShared) {
  for (bool prefill : {false, true}) {
    MatmulCase c{.format = "q4_0", .rows = 21, .outputs = 48, .inputs = 64, .weights = 2};
    c.left = prefill ? LeftKind::Q8 : LeftKind::F32;
    c.columnsPerTile = 16;
    c.schedule = prefill ? "rows_per_tile = 16, columns_per_tile = 16" : "columns_per_tile = 16";
    c.segments = {0, 0, 3, 3, 3, 4, 21, 21};
    KernelRunner runner(c.text(), GetParam());
    ASSERT_TRUE(runner);
    std::vector<float> whole = MatmulData(c, 1).run(runner, 1);
    for (int64_t pieces : {2, 3, 7, 21})
      EXPECT_EQ(MatmulData(c, 1).run(runner, pieces), whole) << pieces << " pieces";
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Experts, testing::ValuesIn(everyMachine),
                         [](const auto &info) { return info.param.name(); });

} // namespace
} // namespace sinter::test
