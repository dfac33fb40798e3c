// SPDX-License-Identifier: Apache-2.0
// Products of f32 matrices that take their factors as bf16: exactly those of rounded factors, but for the
// order of f32 sums.
#include "test/execute/KernelRunner.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sinter::test {
namespace {

struct Case {
  Machine machine;
  bool transposed;
};

std::vector<Case> everyCase() {
  std::vector<Case> cases;
  for (Machine machine : everyMachine)
    cases.insert(cases.end(), {{machine, false}, {machine, true}});
  return cases;
}

class RoundedProducts : public testing::TestWithParam<Case> {
protected:
  void SetUp() override {
    if (!canRun(GetParam().machine))
      GTEST_SKIP() << "this machine does not run " << GetParam().machine.name();
  }
};

class RoundedGradients : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }
};

/// Numbers of many digits, some of which bf16 has exactly between two of its own.
std::vector<float> numbers(int64_t count, unsigned seed) {
  std::vector<float> all = randomFloats(count, seed);
  for (size_t i = 0; i < all.size(); i += 5)
    all[i] = toBf16(all[i]) * (i % 2 ? 1.0f + 0x1p-8f : 1.0f);
  return all;
}

sinter_step stepOf(int64_t rows) {
  sinter_step step = {};
  step.rows = step.selected = rows;
  return step;
}

void expectNear(float found, const std::vector<std::pair<float, float>> &factors, const std::string &what) {
  double sum = 0, magnitude = 1e-3;
  for (auto [a, b] : factors) {
    double product = static_cast<double>(toBf16(a)) * toBf16(b);
    sum += product;
    magnitude += std::abs(product);
  }
  ASSERT_NEAR(found, sum, 2e-6 * magnitude) << what;
}

/// (rows, columns) in panels of 16 rows.
std::vector<float> panelsOf(const std::vector<float> &matrix, int64_t rows, int64_t columns) {
  std::vector<float> panels((rows + 15) / 16 * 16 * columns + 256, 0.0f);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      panels[(r / 16 * columns + c) * 16 + r % 16] = matrix[r * columns + c];
  return panels;
}

/// rows x inputs times (outputs, inputs), or its transpose; with `segments` each expert's rows times its
/// matrix.
struct Product {
  int64_t rows, inputs, outputs, perTile;
  std::vector<int32_t> segments = {};
  int64_t columns = 32; // of a tile
  int64_t experts() const { return segments.empty() ? 1 : static_cast<int64_t>(segments.size()) - 1; }
};

void checkProduct(const Case &which, const Product &product) {
  const auto &[rows, inputs, outputs, perTile, segments, columns] = product;
  // The weight is (outputs, inputs), or (inputs, outputs) to be transposed.
  const bool transposed = which.transposed;
  const int64_t high = transposed ? inputs : outputs, wide = transposed ? outputs : inputs,
                experts = product.experts();
  std::vector<float> x = numbers(rows * inputs, 1), w = numbers(experts * high * wide, 2);
  std::vector<float> weight = panelsOf(w, experts * high, wide), first;
  std::vector<uint16_t> halves = halvesOf(x);
  for (bool narrow : {false, true}) {
    std::string text = fmt::format(
        R"(
kernel.func @product(%x: !kernel.rows<{0}x{6}>, %w: !kernel.weight<{3}x{4}, f32>{7}, %o: !kernel.rows<{1}xf32>) {{
  kernel.matmul left(%x : !kernel.rows<{0}x{6}>) {5} weights(%w : !kernel.weight<{3}x{4}, f32>) {8} over(rows) schedule<rows_per_tile = {2}, columns_per_tile = {9}> attributes {{kernel.bf16}} ranges {{
    kernel.range 0 to {1} group 1 {{
    ^bb0(%a: vector<1xf32>, %row: index, %column: index):
      kernel.store %a, %o[%row, %column] : vector<1xf32>, !kernel.rows<{1}xf32>
    }}
  }}
}})",
        inputs, outputs, perTile, experts * high, wide, transposed ? "transposed" : "",
        narrow ? "bf16" : "f32", segments.empty() ? "" : fmt::format(", %s: !kernel.segments<{}>", experts),
        segments.empty() ? "" : fmt::format("experts(%s : !kernel.segments<{}>)", experts), columns);
    KernelRunner runner(text, which.machine);
    ASSERT_TRUE(runner);
    AlignedBytes out(rows * outputs * 4);
    sinter_step step = stepOf(rows);
    std::vector<int32_t> places = segments;
    std::vector<void *> buffers = {narrow ? static_cast<void *>(halves.data()) : x.data(), weight.data()};
    if (!segments.empty())
      buffers.push_back(places.data());
    buffers.push_back(out.data());
    int64_t tiles =
        (outputs + columns - 1) / columns * (segments.empty() ? (rows + perTile - 1) / perTile : experts);
    for (int64_t part = 0; part < 3; ++part)
      if (int64_t begin = tiles * part / 3, end = tiles * (part + 1) / 3; begin < end)
        runner.run("product", buffers, step, begin, end);
    EXPECT_TRUE(out.isIntact());
    std::vector<float> found(out.as<float>(), out.as<float>() + rows * outputs);
    if (narrow) { // not a bit depends on who rounds
      EXPECT_EQ(found, first);
      continue;
    }
    first = found;
    int64_t expert = 0;
    for (int64_t r = 0; r < rows; ++r) {
      while (!segments.empty() && r >= segments[expert + 1])
        ++expert;
      const float *matrix = w.data() + expert * high * wide;
      for (int64_t c = 0; c < outputs; ++c) {
        std::vector<std::pair<float, float>> factors;
        for (int64_t i = 0; i < inputs; ++i)
          factors.emplace_back(x[r * inputs + i], transposed ? matrix[i * wide + c] : matrix[c * wide + i]);
        expectNear(found[r * outputs + c], factors,
                   fmt::format("{} rows, {} inputs, at {}, {}", rows, inputs, r, c));
      }
    }
  }
}

TEST_P(RoundedProducts, AreThoseOfBf16) {
  for (const Product &product : {Product{1, 16, 16, 96},
                                 {7, 33, 20, 96},
                                 {200, 100, 72, 96},
                                 {37, 5000, 40, 32},
                                 {70, 4200, 33, 64},
                                 {5, 4099, 33, 64}})           // blocks of 256, and one of 3
    if (!GetParam().machine.isGpu() || product.inputs <= 1000) // slow under the emulator
      checkProduct(GetParam(), product);
}

/// With all their rows, columns and chunks of 64 inputs, and without.
TEST_P(RoundedProducts, OfWideTilesAreThoseOfBf16) {
  for (const Product &product :
       {Product{.rows = 200, .inputs = 128, .outputs = 256, .perTile = 128, .columns = 128},
        Product{.rows = 130, .inputs = 196, .outputs = 144, .perTile = 64, .columns = 64},
        Product{.rows = 64, .inputs = 64, .outputs = 150, .perTile = 64, .columns = 128},
        Product{.rows = 128, .inputs = 260, .outputs = 192, .perTile = 128, .columns = 64},
        // Rows that begin anywhere: of odd numbers, and of even ones.
        Product{.rows = 128, .inputs = 197, .outputs = 128, .perTile = 128, .columns = 128},
        Product{.rows = 66, .inputs = 65, .outputs = 131, .perTile = 64, .columns = 128},
        Product{.rows = 130, .inputs = 130, .outputs = 64, .perTile = 128, .columns = 64},
        Product{.rows = 64, .inputs = 3, .outputs = 64, .perTile = 64, .columns = 64}})
    checkProduct(GetParam(), product);
}

TEST_P(RoundedProducts, OfExpertsAreThoseOfBf16) {
  // Experts with many rows, few and none, whose matrices begin with a panel and inside of one.
  for (const Product &product : {Product{41, 48, 32, 96, {0, 3, 3, 40, 41}},
                                 {41, 33, 20, 96, {0, 0, 17, 41, 41}},
                                 {6, 7, 5, 96, {0, 2, 6}}})
    checkProduct(GetParam(), product);
}

struct Gradient {
  int64_t rows, outputs, inputs;
  std::vector<int32_t> segments = {};
  int64_t sideOutputs = 0, sideInputs = 0; // of a tile; 0: as without a schedule
  int64_t experts() const { return segments.empty() ? 1 : static_cast<int64_t>(segments.size()) - 1; }
};

void checkGradient(const Machine &machine, const Gradient &gradient) {
  const auto &[rows, outputs, inputs, segments, sideOutputs, sideInputs] = gradient;
  const int64_t experts = gradient.experts(), high = experts * outputs;
  std::vector<float> g = numbers(rows * outputs, 1), x = numbers(rows * inputs, 2), first;
  std::vector<uint16_t> halfG = halvesOf(g), halfX = halvesOf(x);
  const bool isWide = sideOutputs && machine.isGpu(); // a processor's tiles are its own
  const std::string schedule =
      isWide ? fmt::format("schedule<columns_per_tile = {}, tile_columns = {}>", sideOutputs, sideInputs)
             : "";
  const int64_t tileOutputs = isWide ? sideOutputs : 32, tileInputs = isWide ? sideInputs : 288;
  for (auto [narrowG, narrowX] : {std::pair(false, false), {true, true}, {true, false}, {false, true}}) {
    std::string text = fmt::format(
        R"(
kernel.func @wg(%g: !kernel.rows<{0}x{3}>, %x: !kernel.rows<{1}x{4}>, %w: !kernel.weight<{2}x{1}, f32>{5}) {{
  kernel.weight_gradient gradient(%g : !kernel.rows<{0}x{3}>) input(%x : !kernel.rows<{1}x{4}>) output(%w : !kernel.weight<{2}x{1}, f32>) {6} {7} {{kernel.bf16}}
}})",
        outputs, inputs, high, narrowG ? "bf16" : "f32", narrowX ? "bf16" : "f32",
        segments.empty() ? "" : fmt::format(", %s: !kernel.segments<{}>", experts),
        segments.empty() ? "" : fmt::format("experts(%s : !kernel.segments<{}>)", experts), schedule);
    KernelRunner runner(text, machine);
    ASSERT_TRUE(runner);
    AlignedBytes out((high + 15) / 16 * 16 * inputs * 4);
    sinter_step step = stepOf(rows);
    std::vector<int32_t> places = segments;
    std::vector<void *> buffers = {narrowG ? static_cast<void *>(halfG.data()) : g.data(),
                                   narrowX ? static_cast<void *>(halfX.data()) : x.data(), out.data()};
    if (!segments.empty())
      buffers.push_back(places.data());
    runner.run("wg", buffers, step, 0,
               (outputs + tileOutputs - 1) / tileOutputs * ((inputs + tileInputs - 1) / tileInputs) *
                   experts);
    EXPECT_TRUE(out.isIntact());
    std::vector<float> found;
    for (int64_t o = 0; o < high; ++o)
      for (int64_t i = 0; i < inputs; ++i)
        found.push_back(out.as<float>()[(o / 16 * inputs + i) * 16 + o % 16]);
    if (narrowG || narrowX) {
      EXPECT_EQ(found, first);
      continue;
    }
    first = found;
    for (int64_t o = 0; o < high; ++o)
      for (int64_t i = 0; i < inputs; ++i) {
        std::vector<std::pair<float, float>> factors;
        const int64_t expert = o / outputs;
        const int64_t begin = segments.empty() ? 0 : segments[expert],
                      end = segments.empty() ? rows : segments[expert + 1];
        for (int64_t t = begin; t < end; ++t)
          factors.emplace_back(g[t * outputs + o % outputs], x[t * inputs + i]);
        expectNear(found[o * inputs + i], factors, fmt::format("{} rows, at {}, {}", rows, o, i));
      }
  }
}

TEST_P(RoundedGradients, AreThoseOfBf16) {
  for (const Gradient &gradient : {Gradient{1, 16, 6}, {3, 5, 7}, {300, 100, 72}, {520, 33, 301}})
    checkGradient(GetParam(), gradient);
}

TEST_P(RoundedGradients, OfWideTilesAreThoseOfBf16) {
  for (const Gradient &gradient :
       {Gradient{.rows = 192, .outputs = 256, .inputs = 128, .sideOutputs = 128, .sideInputs = 128},
        Gradient{.rows = 64, .outputs = 100, .inputs = 196, .sideOutputs = 64, .sideInputs = 128},
        Gradient{.rows = 70, .outputs = 160, .inputs = 72, .sideOutputs = 128, .sideInputs = 64},
        Gradient{.rows = 128, .outputs = 257, .inputs = 128, .sideOutputs = 128, .sideInputs = 128},
        Gradient{.rows = 65, .outputs = 131, .inputs = 197, .sideOutputs = 128, .sideInputs = 128},
        Gradient{.rows = 64, .outputs = 66, .inputs = 130, .sideOutputs = 64, .sideInputs = 64}})
    checkGradient(GetParam(), gradient);
}

TEST_P(RoundedGradients, OfExpertsAreThoseOfBf16) {
  for (const Gradient &gradient :
       {Gradient{41, 32, 48, {0, 3, 3, 40, 41}}, {300, 20, 33, {0, 0, 17, 300, 300}}})
    checkGradient(GetParam(), gradient);
}

INSTANTIATE_TEST_SUITE_P(Machines, RoundedProducts, testing::ValuesIn(everyCase()), [](const auto &info) {
  return info.param.machine.name() + (info.param.transposed ? "_transposed" : "");
});

INSTANTIATE_TEST_SUITE_P(Machines, RoundedGradients, testing::ValuesIn(everyMachine),
                         [](const auto &info) { return info.param.name(); });

} // namespace
} // namespace sinter::test
