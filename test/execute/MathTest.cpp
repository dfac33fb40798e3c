// SPDX-License-Identifier: Apache-2.0
// The accuracy of each function that lower-math makes, in units in the last place against double precision.
#include "test/execute/KernelRunner.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sinter::test {
namespace {

class Math : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }

  static constexpr int64_t width = 1027; // not a multiple of any chunk

  /// Applies `function` (an operation of math) to all values, a multiple of `width` of them.
  std::vector<float> apply(const char *function, std::vector<float> values) {
    std::string text = fmt::format(R"(
kernel.func @f(%x: !kernel.rows<{0}xf32>) {{
  kernel.rows over(rows) {{
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<{0}xf32>, vector<{0}xf32>
    %b = math.{1} %a : vector<{0}xf32>
    kernel.store %b, %x[%row] : vector<{0}xf32>, !kernel.rows<{0}xf32>
  }}
}})",
                                   width, function);
    KernelRunner runner(text, GetParam());
    if (!runner)
      return {};
    sinter_step step{};
    step.rows = static_cast<int64_t>(values.size()) / width;
    runner.run("f", {values.data()}, step, 0, step.rows);
    return values;
  }

  /// Largest error in ulps of the result for inputs spread evenly over [low, high].
  double error(const char *function, double (*reference)(double), double low, double high) {
    std::vector<float> x(width * 200);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] =
          static_cast<float>(low + (high - low) * static_cast<double>(i) / static_cast<double>(x.size() - 1));
    std::vector<float> y = apply(function, x);
    double worst = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      double expected = reference(x[i]);
      float rounded = static_cast<float>(expected);
      double ulp = std::abs(std::nextafter(std::abs(rounded), INFINITY) - std::abs(rounded));
      worst = std::max(worst, std::abs(y[i] - expected) / ulp);
    }
    return y.empty() ? INFINITY : worst;
  }

  std::vector<float> special(const char *function, std::vector<float> values) {
    size_t count = values.size();
    values.resize(width);
    std::vector<float> y = apply(function, values);
    y.resize(count);
    return y;
  }
};

TEST_P(Math, ExpIsWithinTwoUlps) {
  EXPECT_LE(error("exp", std::exp, -86.9, 88.7), 2);
  EXPECT_LE(error("exp", std::exp, -1, 1), 2);
  EXPECT_LE(error("exp2", std::exp2, -125, 127.9), 2);
  std::vector<float> y = special("exp", {-INFINITY, -1000, -0.f, 1000, INFINITY, NAN});
  EXPECT_EQ(y[0], 0);
  EXPECT_EQ(y[1], 0);
  EXPECT_EQ(y[2], 1);
  EXPECT_EQ(y[3], INFINITY);
  EXPECT_EQ(y[4], INFINITY);
  EXPECT_TRUE(std::isnan(y[5]));
}

TEST_P(Math, TanhIsWithinTwoUlps) {
  EXPECT_LE(error("tanh", std::tanh, -10, 10), 2);
  EXPECT_LE(error("tanh", std::tanh, -0.7, 0.7), 2);
  std::vector<float> y = special("tanh", {-INFINITY, 1e-20f, INFINITY, NAN});
  EXPECT_EQ(y[0], -1);
  EXPECT_EQ(y[1], 1e-20f);
  EXPECT_EQ(y[2], 1);
  EXPECT_TRUE(std::isnan(y[3]));
}

TEST_P(Math, ErfIsWithinTwoUlps) {
  EXPECT_LE(error("erf", std::erf, -5, 5), 2);
  EXPECT_LE(error("erf", std::erf, -1.1, 1.1), 2);
  std::vector<float> y = special("erf", {-INFINITY, INFINITY, NAN});
  EXPECT_EQ(y[0], -1);
  EXPECT_EQ(y[1], 1);
  EXPECT_TRUE(std::isnan(y[2]));
}

TEST_P(Math, LogIsWithinTwoUlps) {
  EXPECT_LE(error("log", std::log, 1e-3, 10), 2);
  EXPECT_LE(error("log", std::log, 10, 1e30), 2);
  std::vector<float> y = special("log", {0, -1, INFINITY, NAN, 1e-40f, 1});
  EXPECT_EQ(y[0], -INFINITY);
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_EQ(y[2], INFINITY);
  EXPECT_TRUE(std::isnan(y[3]));
  EXPECT_NEAR(y[4], std::log(static_cast<double>(1e-40f)), 1e-5);
  EXPECT_EQ(y[5], 0);
}

TEST_P(Math, SinAndCosAreWithinOneUlpUpToAMillion) {
  for (double high : {1.0, 100.0, 1e6}) {
    EXPECT_LE(error("sin", std::sin, -high, high), 1) << high;
    EXPECT_LE(error("cos", std::cos, -high, high), 1) << high;
  }
  std::vector<float> y = special("sin", {INFINITY, NAN, 0});
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_EQ(y[2], 0);
}

INSTANTIATE_TEST_SUITE_P(Isas, Math,
                         testing::Values(cpu::Isa::Avx2, cpu::Isa::Avx512, gpu::Architecture::Sm80),
                         [](const auto &info) { return info.param.name(); });

} // namespace
} // namespace sinter::test
