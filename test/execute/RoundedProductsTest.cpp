// SPDX-License-Identifier: Apache-2.0
// Products of f32 matrices that take their factors as bf16: exactly those of rounded factors, but for the
// order of f32 sums.
#include "test/execute/KernelRunner.h"

#include <bit>
#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sinter::test {
namespace {

struct Case {
  Machine machine;
  bool transposed;
};

class RoundedProducts : public testing::TestWithParam<Case> {
protected:
  void SetUp() override {
    if (!canRun(GetParam().machine))
      GTEST_SKIP() << "this machine does not run " << GetParam().machine.name();
  }
};

float toBf16(float number) {
  auto bits = std::bit_cast<uint32_t>(number);
  bits += 0x7fff + (bits >> 16 & 1);
  return std::bit_cast<float>(bits & 0xffff0000u);
}

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

TEST_P(RoundedProducts, AreThoseOfBf16) {
  struct Shape {
    int64_t rows, inputs, outputs, perTile;
  };
  bool transposed = GetParam().transposed;
  for (auto [rows, inputs, outputs, perTile] :
       {Shape{1, 16, 16, 96}, {7, 33, 20, 96}, {200, 100, 72, 96}, {37, 5000, 40, 32}, {70, 4200, 33, 64}}) {
    if (GetParam().machine.isGpu() && inputs > 1000) // slow under the emulator
      continue;
    // The weight is (outputs, inputs), or (inputs, outputs) to be transposed.
    int64_t high = transposed ? inputs : outputs, wide = transposed ? outputs : inputs;
    std::string text = fmt::format(R"(
kernel.func @product(%x: !kernel.rows<{0}xf32>, %w: !kernel.weight<{3}x{4}, f32>, %o: !kernel.rows<{1}xf32>) {{
  kernel.matmul left(%x : !kernel.rows<{0}xf32>) {5} weights(%w : !kernel.weight<{3}x{4}, f32>) over(rows) schedule<rows_per_tile = {2}, columns_per_tile = 32> attributes {{kernel.bf16}} ranges {{
    kernel.range 0 to {1} group 1 {{
    ^bb0(%a: vector<1xf32>, %row: index, %column: index):
      kernel.store %a, %o[%row, %column] : vector<1xf32>, !kernel.rows<{1}xf32>
    }}
  }}
}})",
                                   inputs, outputs, perTile, high, wide, transposed ? "transposed" : "");
    KernelRunner runner(text, GetParam().machine);
    ASSERT_TRUE(runner);
    std::vector<float> x = numbers(rows * inputs, 1), w = numbers(high * wide, 2);
    std::vector<float> weight((high + 15) / 16 * 16 * wide + 256, 0.0f);
    for (int64_t r = 0; r < high; ++r)
      for (int64_t c = 0; c < wide; ++c)
        weight[(r / 16 * wide + c) * 16 + r % 16] = w[r * wide + c];
    AlignedBytes out(rows * outputs * 4);
    sinter_step step = stepOf(rows);
    int64_t tiles = (outputs + 31) / 32 * ((rows + perTile - 1) / perTile);
    for (int64_t part = 0; part < 3; ++part)
      if (int64_t begin = tiles * part / 3, end = tiles * (part + 1) / 3; begin < end)
        runner.run("product", {x.data(), weight.data(), out.data()}, step, begin, end);
    EXPECT_TRUE(out.isIntact());
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < outputs; ++c) {
        std::vector<std::pair<float, float>> factors;
        for (int64_t i = 0; i < inputs; ++i)
          factors.emplace_back(x[r * inputs + i], transposed ? w[i * wide + c] : w[c * wide + i]);
        expectNear(out.as<float>()[r * outputs + c], factors,
                   fmt::format("{} rows, {} inputs, at {}, {}", rows, inputs, r, c));
      }
  }
}

TEST_P(RoundedProducts, OfGradientsAndInputsAreThoseOfBf16) {
  struct Shape {
    int64_t rows, outputs, inputs;
  };
  for (auto [rows, outputs, inputs] : {Shape{1, 16, 6}, {3, 5, 7}, {300, 100, 72}, {520, 33, 301}}) {
    std::string text = fmt::format(R"(
kernel.func @wg(%g: !kernel.rows<{0}xf32>, %x: !kernel.rows<{1}xf32>, %w: !kernel.weight<{0}x{1}, f32>) {{
  kernel.weight_gradient gradient(%g : !kernel.rows<{0}xf32>) input(%x : !kernel.rows<{1}xf32>) output(%w : !kernel.weight<{0}x{1}, f32>) {{kernel.bf16}}
}})",
                                   outputs, inputs);
    KernelRunner runner(text, GetParam().machine);
    ASSERT_TRUE(runner);
    std::vector<float> g = numbers(rows * outputs, 1), x = numbers(rows * inputs, 2);
    AlignedBytes out((outputs + 15) / 16 * 16 * inputs * 4);
    sinter_step step = stepOf(rows);
    runner.run("wg", {g.data(), x.data(), out.data()}, step, 0, (outputs + 31) / 32 * ((inputs + 287) / 288));
    EXPECT_TRUE(out.isIntact());
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t i = 0; i < inputs; ++i) {
        std::vector<std::pair<float, float>> factors;
        for (int64_t t = 0; t < rows; ++t)
          factors.emplace_back(g[t * outputs + o], x[t * inputs + i]);
        expectNear(out.as<float>()[(o / 16 * inputs + i) * 16 + o % 16], factors,
                   fmt::format("{} rows, at {}, {}", rows, o, i));
      }
  }
}

INSTANTIATE_TEST_SUITE_P(Machines, RoundedProducts,
                         testing::Values(Case{cpu::Isa::Avx2, false}, Case{cpu::Isa::Avx2, true},
                                         Case{cpu::Isa::Avx512, false}, Case{cpu::Isa::Avx512, true},
                                         Case{cpu::Isa::Avx512Bf16, false}, Case{cpu::Isa::Avx512Bf16, true},
                                         Case{cpu::Isa::Amx, false}, Case{cpu::Isa::Amx, true},
                                         Case{gpu::Architecture::Sm80, false},
                                         Case{gpu::Architecture::Sm80, true},
                                         Case{gpu::Architecture::Sm90, false}),
                         [](const auto &info) {
                           return info.param.machine.name() + (info.param.transposed ? "_transposed" : "");
                         });

} // namespace
} // namespace sinter::test
