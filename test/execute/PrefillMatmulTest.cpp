// SPDX-License-Identifier: Apache-2.0
// The prefill form of kernel.matmul against naive products: all formats, odd sizes, all remainders of rows.
#include "test/execute/MatmulCase.h"

#include <cstring>
#include <gtest/gtest.h>

namespace sinter::test {
namespace {

const std::vector<std::string> simpleFormats = {"q8_0", "q4_0", "q4_1", "q5_0", "q5_1"};
const std::vector<std::string> superFormats = {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k"};
const std::vector<std::string> floatFormats = {"f32", "f16", "bf16"};

class PrefillMatmul : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }
  /// One kernel, several numbers of rows.
  void check(MatmulCase c, std::vector<int64_t> rows, int64_t pieces = 1) {
    KernelRunner runner(c.text(), GetParam());
    if (!runner)
      return;
    c.quantisesRows = GetParam().isGpu() || GetParam().isa != cpu::Isa::Amx;
    for (int64_t n : rows) {
      c.rows = n;
      // Tensor cores round the left side to the type of the weights: by 2^-9 (bf16) or 2^-11 (f16) at most.
      double rounding = c.format == "bf16" ? 2.1e-3 : c.format == "f16" ? 5e-4 : 2e-6;
      bool rounds = GetParam().isGpu() && c.left == LeftKind::F32;
      // wgmma: both sides are dequantised to f16, two or three such roundings a product; they do not add up.
      if (GetParam().name() == "sm_90a" && c.left == LeftKind::Q8 && c.format != "f16")
        rounds = true, rounding = 5e-4;
      double tolerance = !GetParam().isGpu() ? toleranceOnCpu(c, GetParam().isa) : rounds ? rounding : 2e-6;
      MatmulData(c, 1).check(runner, std::min(pieces, c.tiles()), tolerance);
    }
  }
};

TEST_P(PrefillMatmul, ComputesEveryFormatWithAnyNumberOfRows) {
  for (const std::string &format : floatFormats)
    check(MatmulCase{.format = format, .outputs = 100, .inputs = 75}.tiled(32, 0), {1, 7, 33, 64});
  for (const std::string &format : simpleFormats)
    check(MatmulCase{.format = format, .outputs = 100, .inputs = 96, .left = LeftKind::Q8}.tiled(32, 0),
          {1, 7, 33, 64});
  for (const std::string &format : superFormats)
    check(MatmulCase{.format = format, .outputs = 100, .inputs = 512, .left = LeftKind::Q8}.tiled(32, 0),
          {1, 7, 33, 64});
}

TEST_P(PrefillMatmul, SplitsRowsAndColumnsIntoTiles) {
  for (const char *format : {"f32", "q8_0", "q4_1"}) {
    MatmulCase c{.format = format, .outputs = 64 * 5, .inputs = 64};
    c.ranges = {{0, 192, 64}, {192, 256, 64}, {256, 320, 16}};
    for (int64_t columns : {64, 96, 17}) // the others cut groups
      check(c.tiled(16, columns), {15, 40}, 5);
  }
}

TEST_P(PrefillMatmul, QuantisesFloatRowsAndRunsARegion) {
  for (const char *format : {"q4_0", "q6_k", "bf16"}) {
    check(MatmulCase{.format = format, .outputs = 64, .inputs = 256}.tiled(16, 32), {20});
    check(MatmulCase{.format = format, .outputs = 64, .inputs = 256, .left = LeftKind::Region}.tiled(16, 32),
          {20}, 2);
  }
  check(MatmulCase{.format = "f16", .outputs = 64, .inputs = 96, .left = LeftKind::Q8}.tiled(16, 32), {20});
}

TEST_P(PrefillMatmul, MultipliesTwoWeightsInOneEpilogue) {
  check(MatmulCase{.format = "q4_1", .outputs = 160, .inputs = 64, .weights = 2}.tiled(32, 64), {3, 70});
}

TEST_P(PrefillMatmul, HandlesGroupsThatAreNoMultipleOfAPanel) {
  MatmulCase c{.format = "f16", .outputs = 7 * 24 + 10, .inputs = 40};
  c.ranges = {{0, 168, 24}, {168, 178, 5}};
  check(c.tiled(16, 24), {1, 18}, 4);
}

TEST_P(PrefillMatmul, HandlesGroupsAsLongAsAHead) {
  MatmulCase c{.format = "q4_k", .outputs = 512 + 64, .inputs = 256, .left = LeftKind::Q8};
  c.ranges = {{0, 256, 256}, {256, 512, 256}, {512, 576, 64}};
  check(c.tiled(64, 256), {5, 70});
}

TEST_P(PrefillMatmul, GoesOverManyChunksTilesAndRowsAtOnce) {
  if (!GetParam().isGpu())
    GTEST_SKIP() << "tiles of a block of threads";
  for (const char *format : {"f16", "bf16"})
    check(MatmulCase{.format = format, .outputs = 400, .inputs = 339}.tiled(128, 128), {1, 129, 300}, 1);
  for (const char *format : {"q8_0", "q4_1"})
    check(MatmulCase{.format = format, .outputs = 400, .inputs = 352, .left = LeftKind::Q8}.tiled(128, 128),
          {130}, 1);
  for (const char *format : {"q4_k", "q6_k"})
    check(MatmulCase{.format = format, .outputs = 130, .inputs = 1024, .left = LeftKind::Q8}.tiled(64, 128),
          {70}, 1);
  check(MatmulCase{.format = "q4_1", .outputs = 300, .inputs = 640, .left = LeftKind::Q8, .weights = 2}.tiled(
            64, 128),
        {75}, 1);
}

TEST_P(PrefillMatmul, ReadsRowsOfTheWeightsType) {
  for (const char *format : {"f16", "bf16"}) {
    MatmulCase c{.format = format, .outputs = 100, .inputs = 72, .left = LeftKind::Half};
    check(c.tiled(32, 0), {1, 33});
    c.inputs = 75; // rows of an odd number of bytes
    check(c.tiled(32, 0), {7});
    c.weights = 2, c.inputs = 256, c.outputs = 128;
    check(c.tiled(64, 64), {70}, 2);
    c.weights = 1, c.inputs = 328, c.outputs = 400;
    check(c.tiled(128, 128), {1, 129, 300});
    c.inputs = 256, c.outputs = 384;
    c.ranges = {{0, 256, 64}, {256, 384, 16}};
    check(c.tiled(128, 128), {150}, 2);
    c.ranges = {{0, 256, 64}, {256, 320, 64}, {320, 384, 8}}; // the second begins in the middle of a chunk
    check(c.tiled(64, 128), {65}, 2);
    if (GetParam().isGpu()) { // 16 times 256 columns would be the same code
      MatmulCase wide{.format = format, .outputs = 528, .inputs = 136, .left = LeftKind::Half};
      check(wide.tiled(128, 256), {1, 150}, 2);
      wide.weights = 2, wide.outputs = 256;
      check(wide.tiled(128, 128), {130}, 2);
    }
    c.ranges = {{0, 384, 24}};
    check(c.tiled(64, 72), {65}, 2);
  }
}

TEST_P(PrefillMatmul, StoresTilesOfEveryTypeWhateverTheEpilogue) {
  for (const char *output : {"f32", "f16", "bf16"})
    for (const auto &[c, rows] :
         storedTiles({.format = "f16", .inputs = 72, .left = LeftKind::Half, .output = output}))
      check(c, rows, 2);
}

/// The same of weights that wgmma has in registers, and where K is split.
TEST_P(PrefillMatmul, StoresTilesOfEveryWeightFormat) {
  if (!GetParam().isGpu())
    GTEST_SKIP() << "tiles of a block of threads";
  struct Sides {
    const char *format, *output;
    LeftKind left;
  };
  for (auto [format, output, left] :
       {Sides{"bf16", "f32", LeftKind::Half}, Sides{"bf16", "f16", LeftKind::F32},
        Sides{"f16", "bf16", LeftKind::F32}, Sides{"q8_0", "f16", LeftKind::Q8},
        Sides{"q4_k", "f32", LeftKind::Q8}}) {
    MatmulCase c{.format = format, .outputs = 256, .inputs = 256, .left = left};
    c.output = output;
    check(c.tiled(128, 128), {150}, 2);
    c.ranges = {{0, 128, 128}, {128, 256, 16}};
    c.adds = true;
    check(c.tiled(128, 128), {128}, 2);
    c.weights = 2;
    check(c.tiled(64, 128), {70}, 2);
    c.weights = 1, c.addsLargest = true, c.splits = 2;
    check(c.tiled(64, 128), {130});
  }
  for (const char *format : {"f16", "bf16"}) { // two blocks share a multiprocessor
    MatmulCase c{.format = format, .outputs = 128, .inputs = 136, .left = LeftKind::Half, .splits = 2};
    check(c.tiled(64, 64), {130});
    c.left = LeftKind::F32, c.splits = 1;
    check(c.tiled(64, 64), {130});
  }
}

TEST_P(PrefillMatmul, GoesOverManyTilesOfFewInputs) {
  for (int64_t inputs : {8, 64, 128, 192}) {
    MatmulCase c{.format = "f16", .outputs = 1024, .inputs = inputs, .left = LeftKind::Half};
    check(c.tiled(128, 128), {200}, 2);
    check(c.tiled(64, 64), {64}, 2);
  }
}

/// Of parts of K: quantised formats, weights and rows of 16 bits, rows that are rounded; parts of one chunk
/// and of different numbers of chunks; groups as long as a head.
TEST_P(PrefillMatmul, SumsPartsOfKThatOtherBlocksMultiply) {
  if (!GetParam().isGpu())
    GTEST_SKIP() << "K is split where blocks of threads have few tiles";
  for (const char *format : {"q4_1", "q8_0", "q5_0"}) {
    MatmulCase c{.format = format, .outputs = 192, .inputs = 608, .left = LeftKind::Q8, .splits = 2};
    check(c.tiled(64, 64), {1, 64, 150});
    c.splits = 4, c.adds = true;
    check(c.tiled(64, 64), {70});
  }
  for (const char *format : {"q4_k", "q6_k"}) {
    MatmulCase c{.format = format, .outputs = 512, .inputs = 1024, .left = LeftKind::Q8, .splits = 4};
    c.ranges = {{0, 256, 256}, {256, 512, 256}};
    check(c.tiled(64, 256), {5, 70});
  }
  for (const char *format : {"f16", "bf16"}) {
    MatmulCase c{.format = format, .outputs = 128, .inputs = 584, .left = LeftKind::Half, .splits = 2};
    check(c.tiled(64, 64), {1, 64, 150});
    c.splits = 8, c.adds = true; // parts of one and of two chunks
    check(c.tiled(64, 64), {70});
    check(c.tiled(128, 64), {200});
    c.weights = 2, c.splits = 3;
    check(c.tiled(64, 64), {70});
    check(MatmulCase{.format = format, .outputs = 128, .inputs = 339, .splits = 2}.tiled(64, 64), {70});
    // sm_90a: blocks that share operands beside those of the parts, of 3 tiles of columns.
    MatmulCase wide{.format = format, .outputs = 192, .inputs = 584, .left = LeftKind::Half, .splits = 2};
    check(wide.tiled(64, 64), {64, 128, 150}, 2);
    wide.splits = 4, wide.addsLargest = true;
    check(wide.tiled(64, 64), {64, 128}, 2);
    check(wide.tiled(128, 64), {128, 200}, 2);
  }
}

/// Whichever block is last: with one block the last part, with others any of them.
TEST_P(PrefillMatmul, SumsPartsOfKInOneOrder) {
  if (!GetParam().isGpu())
    GTEST_SKIP() << "K is split where blocks of threads have few tiles";
  for (auto [format, left] :
       {std::pair("q4_1", LeftKind::Q8), {"f16", LeftKind::Half}, {"bf16", LeftKind::Half}}) {
    MatmulCase c =
        MatmulCase{.format = format, .rows = 70, .outputs = 128, .inputs = 1024, .left = left, .splits = 4}
            .tiled(64, 64);
    KernelRunner runner(c.text(), GetParam());
    ASSERT_TRUE(runner);
    std::vector<float> first;
    for (unsigned blocks : {1u, 2u, 3u, 5u, 7u, 16u}) {
      runner.blocks = blocks;
      std::vector<float> found = MatmulData(c, 1).run(runner);
      if (first.empty())
        first = found;
      EXPECT_EQ(std::memcmp(found.data(), first.data(), found.size() * 4), 0)
          << format << ", " << blocks << " blocks";
    }
  }
}

TEST_P(PrefillMatmul, TakesOtherRegisterTiles) {
  for (const char *format : {"f32", "q8_0", "q5_k"}) {
    MatmulCase c = MatmulCase{.format = format, .outputs = 112, .inputs = 256}.tiled(24, 64);
    c.schedule += ", tile_rows = 2, tile_columns = 48";
    check(c, {1, 2, 31}, 2);
  }
}

TEST_P(PrefillMatmul, GivesARowTheSameBitsAsDecode) {
  if (GetParam().isGpu())
    GTEST_SKIP() << "on GPUs prefill adds in another order than decode";
  for (const char *format : {"f32", "f16", "bf16", "q8_0", "q4_1", "q5_1", "q6_k"}) {
    MatmulCase many = MatmulCase{.format = format, .rows = 29, .outputs = 80, .inputs = 256}.tiled(16, 48);
    if (toleranceOnCpu(many, GetParam().isa) <= 2e-6) // else it rounds its rows
      expectBitsOfDecode(many, GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(, PrefillMatmul, testing::ValuesIn(everyMachine),
                         [](const auto &info) { return info.param.name(); });

} // namespace
} // namespace sinter::test
