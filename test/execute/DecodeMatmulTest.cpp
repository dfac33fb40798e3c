// SPDX-License-Identifier: Apache-2.0
// The decode form of kernel.matmul against naive products: all formats, odd sizes, several rows and ranges.
#include "test/execute/MatmulCase.h"

#include <gtest/gtest.h>

namespace sinter::test {
namespace {

class DecodeMatmul : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }
  void check(const MatmulCase &c, int64_t pieces = 1) {
    KernelRunner runner(c.text(), GetParam());
    if (runner)
      MatmulData(c, 1).check(runner, pieces, GetParam().isGpu() ? 2e-6 : toleranceOnCpu(c, GetParam().isa));
  }
};

const std::vector<std::string> simpleFormats = {"q8_0", "q4_0", "q4_1", "q5_0", "q5_1"};
const std::vector<std::string> superFormats = {"q2_k", "q3_k", "q4_k", "q5_k", "q6_k"};
const std::vector<std::string> floatFormats = {"f32", "f16", "bf16"};

TEST_P(DecodeMatmul, ComputesOneRowInEveryFormat) {
  for (const std::string &format : floatFormats)
    check({.format = format, .outputs = 100, .inputs = 75});
  for (const std::string &format : simpleFormats)
    check({.format = format, .outputs = 100, .inputs = 96});
  for (const std::string &format : superFormats)
    check({.format = format, .outputs = 100, .inputs = 512});
}

TEST_P(DecodeMatmul, ComputesSeveralRowsInEveryFormat) {
  for (int64_t rows : {3, 5, 18}) {
    for (const std::string &format : floatFormats)
      check({.format = format, .rows = rows, .outputs = 33, .inputs = 41});
    for (const std::string &format : simpleFormats)
      check({.format = format, .rows = rows, .outputs = 33, .inputs = 64});
    for (const std::string &format : superFormats)
      check({.format = format, .rows = rows, .outputs = 33, .inputs = 256});
  }
}

TEST_P(DecodeMatmul, TakesItsLeftSideFromARegionOrInEightBits) {
  for (LeftKind left : {LeftKind::Region, LeftKind::Q8})
    for (const char *format : {"q4_1", "q8_0", "f16"})
      check({.format = format, .rows = 2, .outputs = 48, .inputs = 96, .left = left});
}

TEST_P(DecodeMatmul, SplitsColumnsIntoTilesAndRanges) {
  MatmulCase c{.format = "q4_0", .outputs = 64 * 5, .inputs = 64};
  c.ranges = {{0, 192, 64}, {192, 256, 64}, {256, 320, 16}};
  for (int64_t columns : {64, 48, 17}) { // the others cut groups
    c.columnsPerTile = columns;
    c.schedule = "columns_per_tile = " + std::to_string(columns);
    for (int64_t pieces : {1, 2, 3})
      check(c, pieces);
  }
}

TEST_P(DecodeMatmul, HandlesGroupsThatAreNoMultipleOfAPanel) {
  MatmulCase c{.format = "f16", .rows = 5, .outputs = 7 * 24 + 10, .inputs = 40};
  c.ranges = {{0, 168, 24}, {168, 178, 5}};
  c.columnsPerTile = 24;
  c.schedule = "columns_per_tile = 24, streams = 2";
  check(c, 4);
}

TEST_P(DecodeMatmul, MultipliesTwoWeightsInOneEpilogue) {
  check({.format = "q8_0", .rows = 1, .outputs = 160, .inputs = 64, .weights = 2});
  check({.format = "q8_0", .rows = 6, .outputs = 160, .inputs = 64, .weights = 2});
}

TEST_P(DecodeMatmul, RunsOverSelectedRows) {
  check({.format = "f32", .rows = 2, .outputs = 30, .inputs = 20, .selected = true});
}

TEST_P(DecodeMatmul, GoesOverManyChunksOfColumns) {
  check({.format = "q4_1", .rows = 1, .outputs = 20000, .inputs = 32});
  check({.format = "q4_1", .rows = 5, .outputs = 2000, .inputs = 32});
}

TEST_P(DecodeMatmul, ReadsRowsThatAreLongerThanSharedMemory) {
  for (const char *format : {"f16", "bf16", "f32"})
    for (LeftKind left : {LeftKind::F32, LeftKind::Half})
      if (left == LeftKind::F32 || std::string(format) != "f32")
        check({.format = format, .rows = 3, .outputs = 16, .inputs = 59989, .left = left});
}

TEST_P(DecodeMatmul, MakesRowsThatAreLongerThanSharedMemoryAPieceAtATime) {
  for (const char *format : {"f32", "f16", "bf16"})
    for (LeftKind left : {LeftKind::Region, LeftKind::Scaled})
      check({.format = format,
             .rows = left == LeftKind::Region ? 1 : 3,
             .outputs = 40,
             .inputs = left == LeftKind::Region ? 59989 : 30000,
             .left = left,
             .schedule = "columns_per_tile = 16",
             .columnsPerTile = 16,
             .stores = left == LeftKind::Scaled});
  check({.format = "f16", .rows = 1, .outputs = 16, .inputs = 25500, .left = LeftKind::Scaled, .weights = 2});
}

TEST_P(DecodeMatmul, StoresWhatThePrologueMakesOnce) {
  // On GPUs several blocks make the rows: with each of them storing, the emulator reports races.
  for (const char *format : {"q4_1", "bf16"})
    for (int64_t rows : {1, 5}) {
      MatmulCase c{.format = format, .rows = rows, .outputs = 136, .inputs = 96, .left = LeftKind::Region};
      c.columnsPerTile = 32;
      c.schedule = "columns_per_tile = 32";
      c.stores = true;
      check(c);
      c.rowsPerTile = 2;
      c.schedule += ", rows_per_tile = 2";
      check(c);
      c.columnsPerTile = c.rowsPerTile = 0; // one tile, several chunks of its columns
      c.schedule = "";
      check(c);
    }
}

TEST_P(DecodeMatmul, TakesManyRowsInTilesOfAnyWidth) {
  // On GPUs 1312 floats of many rows are made in pieces, and a warp takes 1, 2 or 4 panels at once.
  for (const char *format : {"f16", "bf16", "q4_1"})
    for (int64_t columns : {16, 48, 64, 128}) {
      MatmulCase c{.format = format, .rows = 11, .outputs = columns + 32, .inputs = 1312};
      c.columnsPerTile = columns;
      c.schedule = "columns_per_tile = " + std::to_string(columns);
      check(c, 2);
      c.left = LeftKind::Region;
      for (int64_t rows : {2, 11}) {
        c.rows = rows;
        check(c);
      }
    }
}

TEST_P(DecodeMatmul, MakesPiecesOfRowsThatThreadsHold) {
  // On GPUs a row of the prologue lies in registers as a whole, where a piece of its columns is asked for.
  for (const char *format : {"f16", "bf16"})
    for (int64_t inputs : {1056, 2080})
      check({.format = format,
             .rows = 6,
             .outputs = 48,
             .inputs = inputs,
             .left = LeftKind::Scaled,
             .weights = 2});
}

/// Runs a case, and each of its rows alone.
static void checkRowsAlone(const MatmulCase &many, Machine machine) {
  KernelRunner runner(many.text(), machine);
  ASSERT_TRUE(runner);
  MatmulData data(many, 1);
  std::vector<float> all = data.run(runner);
  MatmulCase one = many;
  one.rows = 1;
  for (int64_t row = 0; row < many.rows; ++row) {
    MatmulData single(one, 1);
    std::memcpy(single.leftBytes.data(), data.leftBytes.data() + row * many.inputs * 4, many.inputs * 4);
    std::vector<float> alone = single.run(runner);
    EXPECT_EQ(std::memcmp(alone.data(), &all[row * many.outputs], many.outputs * 4), 0)
        << many.format << ", " << many.inputs << " inputs, row " << row;
  }
}

TEST_P(DecodeMatmul, GivesARowTheSameBitsWhateverTheOtherRows) {
  for (const char *format : {"f32", "f16", "bf16", "q8_0", "q4_1", "q5_1"})
    for (int64_t inputs : {96, 1312})
      checkRowsAlone({.format = format, .rows = inputs == 96 ? 7 : 10, .outputs = 80, .inputs = inputs},
                     GetParam());
}

TEST_P(DecodeMatmul, GivesARowTheSameBitsWhereFewerRowsAreMadeInLongerPieces) {
  for (const char *format : {"f16", "bf16"})
    checkRowsAlone({.format = format, .rows = 6, .outputs = 16, .inputs = 17456}, GetParam());
}

TEST_P(DecodeMatmul, GivesARowTheSameBitsWithTwoWeightsInWideTiles) {
  for (const char *format : {"f16", "bf16"})
    checkRowsAlone({.format = format,
                    .rows = 6,
                    .outputs = 128,
                    .inputs = 1056,
                    .schedule = "columns_per_tile = 128",
                    .columnsPerTile = 128,
                    .weights = 2},
                   GetParam());
}

INSTANTIATE_TEST_SUITE_P(, DecodeMatmul, testing::ValuesIn(everyMachine),
                         [](const auto &info) { return info.param.name(); });

} // namespace
} // namespace sinter::test
