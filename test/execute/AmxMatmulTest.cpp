// SPDX-License-Identifier: Apache-2.0
// Which products of kernel.matmul go through the tiles of AMX, and that these are right.
#include "test/execute/AmxEmulator.h"
#include "test/execute/MatmulCase.h"

#include <gtest/gtest.h>

namespace sinter::test {
namespace {

class AmxMatmul : public testing::Test {
protected:
  void SetUp() override {
    if (!canRun(cpu::Isa::Amx))
      GTEST_SKIP() << "this machine does not run amx";
  }
  static void check(MatmulCase c, std::vector<int64_t> rows, bool usesTiles = true) {
    c.schedule = "rows_per_tile = 48, columns_per_tile = " + std::to_string(c.columnsPerTile);
    c.rowsPerTile = 48;
    KernelRunner runner(c.text(), cpu::Isa::Amx);
    ASSERT_TRUE(runner);
    for (int64_t n : rows) {
      c.rows = n;
      std::optional<long> before = emulatedProducts();
      // Both factors are rounded to 8 bits: 2^-9 each.
      MatmulData(c, 1).check(runner, 2, usesTiles ? 1.0 / 256 : 2e-6);
      if (before)
        EXPECT_EQ(*emulatedProducts() > *before, usesTiles) << c.format;
    }
  }
};

TEST_F(AmxMatmul, MultipliesBf16WithAnyNumberOfRows) {
  check({.format = "bf16", .outputs = 100, .inputs = 75, .columnsPerTile = 48}, {1, 7, 33, 64, 100});
  check({.format = "bf16", .outputs = 64, .inputs = 64, .left = LeftKind::Region, .columnsPerTile = 64},
        {40});
}

TEST_F(AmxMatmul, MultipliesQuantisedWeightsAsBf16) {
  for (const char *format : {"q8_0", "q4_0", "q4_1", "q5_0", "q5_1"})
    check({.format = format, .outputs = 80, .inputs = 96, .left = LeftKind::Q8, .columnsPerTile = 32},
          {5, 50});
  for (const char *format : {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k"})
    check({.format = format, .outputs = 80, .inputs = 512, .left = LeftKind::Q8, .columnsPerTile = 32},
          {5, 50});
}

TEST_F(AmxMatmul, KeepsF32AndF16Exact) {
  check({.format = "f32", .outputs = 80, .inputs = 96, .columnsPerTile = 32}, {50}, false);
  check({.format = "f16", .outputs = 80, .inputs = 96, .columnsPerTile = 32}, {50}, false);
}

} // namespace
} // namespace sinter::test
