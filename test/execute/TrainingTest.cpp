// SPDX-License-Identifier: Apache-2.0
// The anchors of training against naive code in double, on odd sizes: gradients of weights, sums, losses,
// products with transposed weights, and an update.
#include "dialects/lm/Dropout.h"
#include "runtime/training/TrainingAbi.h"
#include "test/execute/TrainingStep.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>

namespace sinter::test {
namespace {

class Training : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }
};

/// A packed f32 weight: panels of 16 rows.
std::vector<float> packed(const std::vector<float> &values, int64_t rows, int64_t columns) {
  std::vector<float> out((rows + 15) / 16 * 16 * columns);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      out[(r / 16 * columns + c) * 16 + r % 16] = values[r * columns + c];
  return out;
}

TEST_P(Training, GradientsOfWeightsSumOverRowsAndAddWhenAsked) {
  struct Case {
    int64_t rows, outputs, inputs;
  };
  for (auto [rows, outputs, inputs] :
       {Case{1, 16, 6}, {3, 5, 7}, {17, 48, 33}, {300, 100, 72}, {520, 33, 301}}) {
    std::string text = fmt::format(R"(
kernel.func @wg(%g: !kernel.rows<{0}xf32>, %x: !kernel.rows<{1}xf32>, %w: !kernel.weight<{0}x{1}, f32>) {{
  kernel.weight_gradient gradient(%g : !kernel.rows<{0}xf32>) input(%x : !kernel.rows<{1}xf32>) output(%w : !kernel.weight<{0}x{1}, f32>)
}})",
                                   outputs, inputs);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    Step step(rows);
    std::vector<float> g = randomFloats(rows * outputs, 1), x = randomFloats(rows * inputs, 2);
    int64_t panels = (outputs + 15) / 16;
    for (uint32_t adds : {0u, 1u}) {
      step.step.adds = adds;
      AlignedBytes out(panels * 16 * inputs * 4);
      std::fill_n(out.as<float>(), panels * 16 * inputs, adds ? 2.0f : NAN);
      runInParts(runner, "wg", {g.data(), x.data(), out.data()}, step.step,
                 (outputs + 31) / 32 * ((inputs + 287) / 288));
      EXPECT_TRUE(out.isIntact());
      for (int64_t o = 0; o < panels * 16; ++o)
        for (int64_t i = 0; i < inputs; ++i) {
          double sum = adds ? 2 : 0, magnitude = 1;
          for (int64_t t = 0; t < rows && o < outputs; ++t) {
            double product = static_cast<double>(g[t * outputs + o]) * x[t * inputs + i];
            sum += product;
            magnitude += std::abs(product);
          }
          ASSERT_NEAR(out.as<float>()[(o / 16 * inputs + i) * 16 + o % 16], sum, 2e-6 * magnitude)
              << rows << " rows, " << outputs << " x " << inputs << ", at " << o << ", " << i;
        }
    }
  }
}

TEST_P(Training, ColumnsAreSummedAndGroupsFolded) {
  for (auto [columns, width] :
       {std::pair<int64_t, int64_t>{5, 5}, {64, 64}, {130, 130}, {24, 8}, {192, 64}}) {
    std::string text = fmt::format(R"(
kernel.func @sum(%x: !kernel.rows<{0}xf32>, %out: !kernel.table<1x{1}xf32>) {{
  kernel.column_sum input(%x : !kernel.rows<{0}xf32>) output(%out : !kernel.table<1x{1}xf32>)
}})",
                                   columns, width);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    for (int64_t rows : {1, 37}) {
      Step step(rows);
      step.step.adds = rows > 1;
      std::vector<float> x = randomFloats(rows * columns, 3), out(width, rows > 1 ? 1.5f : NAN);
      runInParts(runner, "sum", {x.data(), out.data()}, step.step, (width + 63) / 64);
      for (int64_t c = 0; c < width; ++c) {
        double sum = rows > 1 ? 1.5 : 0;
        for (int64_t i = c; i < rows * columns; i += width)
          sum += x[i];
        ASSERT_NEAR(out[c], sum, 1e-5) << columns << " columns, " << c;
      }
    }
  }
}

TEST_P(Training, EmbeddingsGetTheSumsOfTheirRows) {
  for (int64_t columns : {3, 32, 70})
    for (bool positions : {false, true}) {
      std::string text = fmt::format(R"(
kernel.func @scatter(%g: !kernel.rows<{0}xf32>, %w: !kernel.weight<27x{0}, f32>) {{
  kernel.scatter {1} gradient(%g : !kernel.rows<{0}xf32>) output(%w : !kernel.weight<27x{0}, f32>) {{offset = {2} : i64}}
}})",
                                     columns, positions ? "positions" : "", positions ? 2 : 0);
      KernelRunner runner(text, GetParam());
      ASSERT_TRUE(runner);
      int64_t rows = 50;
      Step step(rows, 25);
      std::vector<float> g = randomFloats(rows * columns, 4);
      for (uint32_t adds : {0u, 1u}) {
        step.step.adds = adds;
        std::vector<float> out(32 * columns, adds ? 1.0f : NAN);
        runInParts(runner, "scatter", {g.data(), out.data()}, step.step, (columns + 31) / 32);
        for (int64_t id = 0; id < 27; ++id)
          for (int64_t c = 0; c < columns; ++c) {
            double sum = adds;
            for (int64_t t = 0; t < rows; ++t)
              if ((positions ? step.positions[t] + 2 : step.tokens[t]) == id)
                sum += g[t * columns + c];
            ASSERT_NEAR(out[(id / 16 * columns + c) * 16 + id % 16], sum, 1e-5)
                << columns << " columns, id " << id;
          }
      }
    }
}

TEST_P(Training, LogitsBecomeTheGradientOfTheLoss) {
  struct Case {
    int64_t columns;
    double smoothing, z;
  };
  for (auto [columns, smoothing, z] :
       {Case{17, 0, 0}, {318, 0, 0}, {318, 0.1, 0}, {100, 0, 0.01}, {1000, 0.2, 0.001}}) {
    std::string text = fmt::format(R"(
kernel.func @loss(%x: !kernel.rows<{0}xf32>, %l: !kernel.rows<1xf32>) {{
  kernel.cross_entropy logits(%x : !kernel.rows<{0}xf32>) losses(%l : !kernel.rows<1xf32>)
}})",
                                   columns);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    int64_t rows = 9;
    Step step(rows);
    sinter_update update = {};
    update.label_smoothing = static_cast<float>(smoothing);
    update.z_loss = static_cast<float>(z);
    step.step.update = &update;
    std::vector<float> x = randomFloats(rows * columns, 5), out, losses(rows, NAN);
    for (float &value : x)
      value *= 5;
    out = x;
    runInParts(runner, "loss", {out.data(), losses.data()}, step.step, rows);
    for (int64_t r = 0; r < rows; ++r) {
      double maximum = -1e30, sum = 0, all = 0;
      for (int64_t c = 0; c < columns; ++c) {
        maximum = std::max<double>(maximum, x[r * columns + c]);
        all += x[r * columns + c];
      }
      for (int64_t c = 0; c < columns; ++c)
        sum += std::exp(x[r * columns + c] - maximum);
      double logSum = maximum + std::log(sum);
      int32_t target = step.targets[r];
      double loss = target < 0 ? 0
                               : logSum - (1 - smoothing) * x[r * columns + target] -
                                     smoothing / columns * all + z * logSum * logSum;
      EXPECT_NEAR(losses[r], loss, 1e-5 * (1 + std::abs(loss))) << columns << " columns, row " << r;
      for (int64_t c = 0; c < columns; ++c) {
        double p = std::exp(x[r * columns + c] - logSum) * (1 + 2 * z * logSum);
        double expected = target < 0 ? 0 : p - smoothing / columns - (c == target ? 1 - smoothing : 0);
        ASSERT_NEAR(out[r * columns + c], 0.125 * expected, 3e-7)
            << columns << " columns, at " << r << ", " << c;
      }
    }
  }
}

TEST_P(Training, RoutersAreCountedAndTheirBalanceHasAGradient) {
  struct Case {
    int64_t rows, experts, k;
  };
  for (auto [rows, experts, k] : {Case{1, 2, 1}, {33, 4, 2}, {70, 7, 3}, {50, 64, 8}}) {
    std::string text = fmt::format(R"(
kernel.func @votes(%x: !kernel.rows<{0}xf32>, %c: !kernel.rows<{1}xi32>, %v: !kernel.table<1x{2}xf32>) {{
  kernel.router_votes logits(%x : !kernel.rows<{0}xf32>) chosen(%c : !kernel.rows<{1}xi32>) output(%v : !kernel.table<1x{2}xf32>)
}}
kernel.func @gradient(%x: !kernel.rows<{0}xf32>, %v: !kernel.table<1x{2}xf32>, %o: !kernel.rows<{0}xf32>) {{
  kernel.balance_gradient logits(%x : !kernel.rows<{0}xf32>) votes(%v : !kernel.table<1x{2}xf32>) output(%o : !kernel.rows<{0}xf32>) {{coefficient = 0.5 : f64, routers = 2 : i64}}
}})",
                                   experts, k, 2 * experts);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    Step step(rows);
    sinter_update update = {};
    update.router_weight = 0.75f;
    step.step.update = &update;
    std::vector<float> x = randomFloats(rows * experts, 6), out(rows * experts, NAN);
    std::vector<int32_t> chosen(rows * k);
    for (int64_t i = 0; i < rows * k; ++i)
      chosen[i] = static_cast<int32_t>((i * 5 + i / k) % experts);
    // Votes are added to what is there: those of another router.
    std::vector<float> votes(2 * experts, 3.0f);
    std::vector<double> expected(2 * experts, 3.0), p(rows * experts);
    for (int64_t r = 0; r < rows; ++r) {
      double sum = 0;
      for (int64_t e = 0; e < experts; ++e)
        sum += p[r * experts + e] = std::exp(static_cast<double>(x[r * experts + e]));
      for (int64_t e = 0; e < experts; ++e)
        expected[experts + e] += p[r * experts + e] /= sum;
      for (int64_t j = 0; j < k; ++j)
        expected[chosen[r * k + j]] += 1;
    }
    runInParts(runner, "votes", {x.data(), chosen.data(), votes.data()}, step.step, 1);
    for (int64_t i = 0; i < 2 * experts; ++i)
      ASSERT_NEAR(votes[i], expected[i], 1e-5 * expected[i]) << experts << " experts, vote " << i;
    runInParts(runner, "gradient", {x.data(), votes.data(), out.data()}, step.step, (rows + 31) / 32);
    const double factor = 0.75 * 0.5 * static_cast<double>(experts) / (4.0 * rows * rows);
    for (int64_t r = 0; r < rows; ++r) {
      double mean = 0;
      for (int64_t e = 0; e < experts; ++e)
        mean += p[r * experts + e] * expected[e];
      for (int64_t e = 0; e < experts; ++e)
        ASSERT_NEAR(out[r * experts + e], factor * p[r * experts + e] * (expected[e] - mean),
                    1e-5 * factor * mean)
            << experts << " experts, row " << r;
    }
  }
}

TEST_P(Training, DropoutOfRowsAndOfTheirColumnsIsThatOfTheReference) {
  for (int64_t columns : {1, 7, 32, 33, 100, 576}) {
    // Whole rows, with a reduction so that the factors are needed in two passes; and groups of columns.
    std::string text = fmt::format(R"(
kernel.func @rows(%x: !kernel.rows<{0}xf32>, %s: !kernel.table<1x1xf32>, %o: !kernel.rows<{0}xf32>) {{
  kernel.rows over(rows) {{
  ^bb0(%row: index):
    %x0 = kernel.load %x[%row] : !kernel.rows<{0}xf32>, vector<{0}xf32>
    %f = kernel.dropout %s[%row] rate 2.500000e-01 : !kernel.table<1x1xf32>, vector<{0}xf32>
    %y = arith.mulf %x0, %f : vector<{0}xf32>
    %sum = vector.reduction <add>, %y : vector<{0}xf32> into f32
    %all = vector.broadcast %sum : f32 to vector<{0}xf32>
    %part = arith.mulf %all, %f : vector<{0}xf32>
    %z = arith.addf %y, %part : vector<{0}xf32>
    kernel.store %z, %o[%row] : vector<{0}xf32>, !kernel.rows<{0}xf32>
  }}
}}
kernel.func @groups(%x: !kernel.rows<{1}xf32>, %s: !kernel.table<1x1xf32>, %o: !kernel.rows<{1}xf32>) {{
  kernel.rows over(rows) columns {1} group {0} {{
  ^bb0(%row: index, %column: index):
    %x0 = kernel.load %x[%row, %column] : !kernel.rows<{1}xf32>, vector<{0}xf32>
    %f = kernel.dropout %s[%row, %column] rate 2.500000e-01 : !kernel.table<1x1xf32>, vector<{0}xf32>
    %y = arith.mulf %x0, %f : vector<{0}xf32>
    kernel.store %y, %o[%row, %column] : vector<{0}xf32>, !kernel.rows<{1}xf32>
  }}
}})",
                                   columns, 3 * columns);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    const int64_t rows = 5;
    Step step(rows);
    sinter_update update = {};
    step.step.update = &update;
    step.step.seed = dropoutSeed;
    std::vector<float> site = {dropoutSite};
    for (bool drops : {true, false}) {
      update.dropout = drops;
      auto factor = [&](int64_t row, int64_t column) {
        return drops ? lm::dropoutFactor(dropoutSeed, dropoutSite, row, column, 0.25) : 1.0;
      };
      std::vector<float> x = randomFloats(rows * columns, 1), out(rows * columns, NAN);
      runInParts(runner, "rows", {x.data(), site.data(), out.data()}, step.step, rows);
      for (int64_t r = 0; r < rows; ++r) {
        double sum = 0, magnitude = 1;
        for (int64_t c = 0; c < columns; ++c) {
          sum += x[r * columns + c] * factor(r, c);
          magnitude += std::abs(x[r * columns + c]);
        }
        for (int64_t c = 0; c < columns; ++c)
          ASSERT_NEAR(out[r * columns + c], (x[r * columns + c] + sum) * factor(r, c), 1e-6 * magnitude)
              << columns << " columns, row " << r << ", column " << c;
      }
      const int64_t wide = 3 * columns;
      std::vector<float> y = randomFloats(rows * wide, 2), grouped(rows * wide, NAN);
      runInParts(runner, "groups", {y.data(), site.data(), grouped.data()}, step.step, rows);
      for (int64_t i = 0; i < rows * wide; ++i)
        ASSERT_FLOAT_EQ(grouped[i], static_cast<float>(y[i] * factor(i / wide, i % wide)))
            << wide << " at " << i;
    }
  }
}

TEST_P(Training, ProductsWithATransposedWeightTurnItsPanels) {
  struct Case {
    int64_t rows, inputs, outputs, rowsPerTile; // inputs: rows of the weight
  };
  for (auto [rows, inputs, outputs, perTile] :
       {Case{1, 16, 16, 96}, {7, 33, 20, 96}, {200, 100, 72, 96}, {37, 5000, 40, 32}, {70, 4200, 33, 64}}) {
    if (GetParam().isGpu() && inputs > 1000) // slow under the emulator, and the way of shorter ones there
      continue;
    std::string text = fmt::format(R"(
kernel.func @back(%g: !kernel.rows<{0}xf32>, %w: !kernel.weight<{0}x{1}, f32>, %o: !kernel.rows<{1}xf32>) {{
  kernel.matmul left(%g : !kernel.rows<{0}xf32>) transposed weights(%w : !kernel.weight<{0}x{1}, f32>) over(rows) schedule<rows_per_tile = {2}, columns_per_tile = 32> ranges {{
    kernel.range 0 to {1} group 1 {{
    ^bb0(%a: vector<1xf32>, %row: index, %column: index):
      kernel.store %a, %o[%row, %column] : vector<1xf32>, !kernel.rows<{1}xf32>
    }}
  }}
}})",
                                   inputs, outputs, perTile);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    Step step(rows);
    std::vector<float> g = randomFloats(rows * inputs, 1), w = randomFloats(inputs * outputs, 2);
    std::vector<float> weight = packed(w, inputs, outputs);
    weight.resize(weight.size() + 16 * 16, NAN); // what lies behind must not be read as a number
    AlignedBytes out(rows * outputs * 4);
    runInParts(runner, "back", {g.data(), weight.data(), out.data()}, step.step,
               (outputs + 31) / 32 * ((rows + perTile - 1) / perTile));
    EXPECT_TRUE(out.isIntact());
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < outputs; ++c) {
        double sum = 0, magnitude = 1;
        for (int64_t i = 0; i < inputs; ++i) {
          double product = static_cast<double>(g[r * inputs + i]) * w[i * outputs + c];
          sum += product;
          magnitude += std::abs(product);
        }
        ASSERT_NEAR(out.as<float>()[r * outputs + c], sum, 2e-6 * magnitude)
            << rows << " rows, " << inputs << ", at " << c;
      }
  }
}

TEST_P(Training, SquaresAreSummedBlockByBlock) {
  std::string text = R"(
kernel.func @norm(%x: !kernel.rows<640xf32>, %o: !kernel.rows<3xf32>) {
  kernel.square_sum input(%x : !kernel.rows<640xf32>) output(%o : !kernel.rows<3xf32>) block 256
})";
  KernelRunner runner(text, GetParam());
  ASSERT_TRUE(runner);
  Step step(1);
  std::vector<float> x = randomFloats(640, 6), out(3, NAN);
  runInParts(runner, "norm", {x.data(), out.data()}, step.step, 3);
  for (int64_t b = 0; b < 3; ++b) {
    double sum = 0;
    for (int64_t i = b * 256; i < std::min<int64_t>(640, (b + 1) * 256); ++i)
      sum += static_cast<double>(x[i]) * x[i];
    EXPECT_NEAR(out[b], sum, 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, Training, testing::ValuesIn(everyMachine),
                         [](const auto &info) { return info.param.name(); });

} // namespace
} // namespace sinter::test
