// SPDX-License-Identifier: Apache-2.0
// Numbers of 8 bits: kernel.matmul against naive products, and conversions bit for bit against plain C++.
#include "test/execute/MatmulCase.h"

#include "runtime/files/BlockFormats.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

namespace sinter::test {
namespace {

const std::vector<std::string> formats = {"f8E4M3FN", "f8E5M2"};

class Fp8 : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }
  /// One kernel, several numbers of rows. Rows of 8 bits and weights are multiplied exactly; tensor cores
  /// round rows of f32 to f16, by 2^-11 at most.
  void check(MatmulCase c, int64_t rowsPerTile, int64_t columnsPerTile, std::vector<int64_t> rows) {
    c = c.tiled(rowsPerTile, columnsPerTile);
    KernelRunner runner(c.text(), GetParam());
    if (!runner)
      return;
    bool rounds = GetParam().isGpu() && rowsPerTile && c.left == LeftKind::F32;
    for (int64_t n : rows) {
      c.rows = n;
      MatmulData(c, 1).check(runner, std::min<int64_t>(2, c.tiles()), rounds ? 5e-4 : 2e-6);
    }
  }
};

TEST_P(Fp8, MultipliesFewRows) {
  for (const std::string &format : formats)
    for (LeftKind left : {LeftKind::F32, LeftKind::Half}) {
      check({.format = format, .outputs = 100, .inputs = 75, .left = left}, 0, 0, {1, 3, 18});
      check({.format = format, .outputs = 33, .inputs = 41, .left = left}, 0, 0, {5});
      check({.format = format, .outputs = 16, .inputs = 1200, .left = left}, 0, 0, {1, 4});
      check({.format = format, .outputs = 160, .inputs = 640, .left = left, .weights = 2}, 0, 32, {1, 6});
    }
  check({.format = "f8E4M3FN", .outputs = 40, .inputs = 15000, .left = LeftKind::Scaled, .stores = true}, 0,
        16, {3});
  check({.format = "f8E5M2", .outputs = 16, .inputs = 59989, .left = LeftKind::Half}, 0, 0, {3});
  check({.format = "f8E5M2", .outputs = 16, .inputs = 30000, .left = LeftKind::Region}, 0, 0, {1});
}

TEST_P(Fp8, MultipliesManyRows) {
  for (const std::string &format : formats)
    for (LeftKind left : {LeftKind::F32, LeftKind::Half}) {
      check({.format = format, .outputs = 100, .inputs = 75, .left = left}, 32, 0, {1, 7, 33, 64});
      check({.format = format, .outputs = 400, .inputs = 339, .left = left}, 128, 128, {1, 129});
      check({.format = format, .outputs = 160, .inputs = 64, .left = left, .weights = 2}, 32, 64, {70});
    }
  for (LeftKind left : {LeftKind::F32, LeftKind::Half}) {
    MatmulCase ranges{.format = "f8E4M3FN", .outputs = 64 * 5, .inputs = 96, .left = left};
    ranges.ranges = {{0, 192, 64}, {192, 256, 64}, {256, 320, 16}};
    for (int64_t columns : {96, 17}) // cut groups
      check(ranges, 16, columns, {40});
    MatmulCase heads{.format = "f8E5M2", .outputs = 512 + 64, .inputs = 256, .left = left};
    heads.ranges = {{0, 256, 256}, {256, 512, 256}, {512, 576, 64}};
    check(heads, 64, 256, {5, 70});
  }
  check({.format = "f8E4M3FN", .outputs = 64, .inputs = 256, .left = LeftKind::Region}, 16, 32, {20});
  check({.format = "f8E5M2", .outputs = 64, .inputs = 96, .left = LeftKind::Q8}, 16, 32, {20});
}

/// The form of sm_90a by tensor maps: tiles with all their panels, rows of whole pieces of 16 bytes.
TEST_P(Fp8, MultipliesTilesOfBothSidesAlike) {
  for (const std::string &format : formats) {
    MatmulCase c{.format = format, .outputs = 640, .left = LeftKind::Half};
    for (int64_t inputs : {16, 128, 336, 1040}) { // 1 to 9 chunks
      c.inputs = inputs;
      check(c, 128, 128, {inputs == 1040 ? 256 : 150});
    }
    c.inputs = 208, c.outputs = 512;
    check(c, 64, 64, {1, 100, 200});
    check(c, 64, 128, {70});
    check(c, 128, 64, {129});
    c.weights = 2, c.outputs = 256;
    check(c, 128, 64, {130});
    check(c, 64, 32, {70});
  }
}

/// With fast_accumulation, which changes nothing on processors and sm_80. The emulated GPU adds in f32.
TEST_P(Fp8, LeavesAllSumsToTheTensorCores) {
  for (const std::string &format : formats) {
    MatmulCase c{.format = format, .outputs = 512, .left = LeftKind::Half, .isFast = true};
    for (int64_t inputs : {16, 336, 1040}) { // 1 to 9 chunks
      c.inputs = inputs;
      check(c, 128, 256, {inputs == 336 ? 256 : 133});
    }
    c.inputs = 208;
    check(c, 64, 256, {70});
    check(c, 64, 64, {70});
    c.inputs = 272, c.weights = 2;
    check(c, 128, 128, {130});
    check(c, 0, 64, {3});
    c.weights = 1, c.output = format, c.adds = true;
    c.ranges = {{0, 256, 256}, {256, 512, 32}};
    check(c, 128, 256, {140, 256});
    // Forms whose sums are f32 anyway.
    check({.format = format, .outputs = 512, .inputs = 272, .left = LeftKind::F32, .isFast = true}, 64, 64,
          {70});
    MatmulCase parts{.format = format, .outputs = 128, .inputs = 640, .left = LeftKind::Half, .splits = 4};
    parts.isFast = true;
    if (GetParam().isGpu())
      check(parts, 64, 64, {70});
    MatmulCase experts{.format = format, .rows = 40, .outputs = 72, .inputs = 80, .left = LeftKind::Half};
    experts.isFast = true, experts.segments = {0, 3, 3, 25, 40};
    check(experts, 16, 24, {40});
  }
}

/// The form that widens both sides on the way, in tiles of all sizes: whole pieces of 16 columns, 1 to 5
/// chunks of 64, the last of them of 16 to 64.
TEST_P(Fp8, MultipliesTilesThatAreWidenedOnce) {
  if (!GetParam().isGpu())
    GTEST_SKIP() << "processors have one form for many rows";
  for (const std::string &format : formats) {
    MatmulCase c{.format = format, .outputs = 512, .left = LeftKind::Half};
    for (auto [rows, columns] : {std::pair(128, 256), {128, 128}, {64, 256}, {64, 64}, {32, 128}, {16, 64}})
      for (int64_t inputs : {16, 112, 192}) {
        c.inputs = inputs;
        check(c, rows, columns, {inputs == 16 ? 133 : rows + 5});
      }
    c.weights = 2;
    for (auto [rows, columns] : {std::pair(128, 128), {64, 64}, {32, 256}})
      check(c, rows, columns, {rows + 5});
    // Tiles with parts of panels, and the last one with some of its columns.
    MatmulCase cut{.format = format, .outputs = 360, .inputs = 208, .left = LeftKind::Half};
    cut.ranges = {{0, 360, 8}};
    for (auto [rows, columns] : {std::pair(128, 104), {64, 40}, {64, 256}, {32, 24}})
      check(cut, rows, columns, {70});
    cut.ranges = {{0, 180, 20}, {180, 360, 90}}; // groups that begin in one tile and end in the next
    check(cut, 64, 64, {70});
  }
}

/// One number that is NaN or infinite on either side makes exactly its row or column so.
TEST_P(Fp8, KeepsWhatIsNoNumber) {
  MatmulCase c{.format = "f8E4M3FN", .rows = 70, .outputs = 256, .inputs = 144, .left = LeftKind::Half};
  for (const std::string &format : formats)
    for (bool isLeft : {false, true}) {
      c.format = format;
      c = c.tiled(64, 64);
      KernelRunner runner(c.text(), GetParam());
      if (!runner)
        return;
      MatmulData data(c, 3);
      // Row 5 of either side, column 130: the last chunk. The panel's row 5 of tile 8.
      (isLeft ? data.leftBytes.data()[5 * 144 + 130] : data.packed[0].data()[8 * 256 + 5 * 16 + 2]) = 0x7f;
      std::vector<float> found = data.run(runner);
      for (int64_t i = 0; i < c.rows * c.outputs; ++i)
        EXPECT_EQ(std::isnan(found[i]), (isLeft ? i / c.outputs : i % c.outputs) == 5) << format << " " << i;
    }
}

TEST_P(Fp8, StoresWhateverTheEpilogue) {
  for (const std::string &format : formats)
    for (const std::string &output : {std::string("f32"), std::string("bf16"), format})
      for (const auto &[c, rows] :
           storedTiles({.format = format, .inputs = 144, .left = LeftKind::Half, .output = output}))
        check(c, c.rowsPerTile, c.columnsPerTile, rows);
}

TEST_P(Fp8, MultipliesRowsOfExperts) {
  for (const std::string &format : formats)
    for (LeftKind left : {LeftKind::F32, LeftKind::Half}) {
      MatmulCase c{.format = format, .rows = 40, .outputs = 72, .inputs = 80, .left = left};
      c.segments = {0, 3, 3, 25, 40};
      check(c, 16, 24, {40});
      check(c, 64, 72, {40});
      check(c, 0, 24, {40});
      c.inputs = 75; // no pieces of 16 bytes
      check(c, 16, 24, {40});
    }
}

TEST_P(Fp8, SumsPartsOfK) {
  if (!GetParam().isGpu())
    GTEST_SKIP() << "K is split where blocks of threads have few tiles";
  for (const std::string &format : formats)
    for (LeftKind left : {LeftKind::F32, LeftKind::Half}) {
      for (int64_t inputs : {592, 600, 640, 144}) {
        MatmulCase c{.format = format, .outputs = 128, .inputs = inputs, .left = left, .splits = 4};
        if (inputs == 144)
          c.splits = 2;
        check(c, 64, 64, {1, 70});
      }
      // sm_90a: in clusters that share operands, too.
      MatmulCase wide{.format = format, .outputs = 192, .inputs = 592, .left = left, .splits = 2};
      check(wide, 64, 64, {64, 128});
      check(wide, 128, 64, {200});
    }
}

TEST_P(Fp8, GivesARowTheSameBitsInPrefillAsInDecode) {
  if (GetParam().isGpu())
    GTEST_SKIP() << "on GPUs prefill adds in another order than decode";
  for (const std::string &format : formats)
    expectBitsOfDecode(MatmulCase{.format = format, .rows = 29, .outputs = 80, .inputs = 250}.tiled(16, 48),
                       GetParam());
}

/// The text of a kernel that copies rows of `from` to rows of `to`.
std::string copyText(const std::string &from, const std::string &to, int64_t columns) {
  return fmt::format(R"(
kernel.func @copy(%x: !kernel.rows<{2}x{0}>, %y: !kernel.rows<{2}x{1}>) {{
  kernel.rows over(rows) schedule<rows_per_tile = 2> {{
  ^bb0(%row: index):
    %v = kernel.load %x[%row] : !kernel.rows<{2}x{0}>, vector<{2}xf32>
    kernel.store %v, %y[%row] : vector<{2}xf32>, !kernel.rows<{2}x{1}>
  }}
}})",
                     from, to, columns);
}

sinter_step stepOf(int64_t rows) {
  sinter_step step{};
  step.rows = rows;
  return step;
}

TEST_P(Fp8, WidensEveryNumberExactly) {
  for (const std::string &format : formats)
    for (int64_t columns : {256, 255, 254}) { // by fours, one and two at a time
      KernelRunner runner(copyText(format, "f32", columns), GetParam());
      ASSERT_TRUE(runner);
      std::vector<uint8_t> codes(columns * 2);
      for (size_t i = 0; i < codes.size(); ++i)
        codes[i] = static_cast<uint8_t>(i);
      std::vector<float> numbers(codes.size());
      runner.run("copy", {codes.data(), numbers.data()}, stepOf(2), 0, 1);
      for (size_t i = 0; i < codes.size(); ++i) {
        float expected = format == "f8E4M3FN" ? e4m3ToF32(codes[i]) : e5m2ToF32(codes[i]);
        if (std::isnan(expected))
          EXPECT_TRUE(std::isnan(numbers[i])) << format << " " << int(codes[i]) << ": " << numbers[i];
        else
          EXPECT_EQ(std::bit_cast<uint32_t>(numbers[i]), std::bit_cast<uint32_t>(expected))
              << format << " " << int(codes[i]) << ": " << numbers[i];
      }
    }
}

/// Halves between neighbours and what lies beside them, the smallest and largest numbers, NaN, and random
/// bits.
std::vector<float> hardNumbers(float (*widen)(uint8_t), size_t count) {
  std::vector<float> numbers = {0.0f,    -0.0f, INFINITY, -INFINITY, NAN,   -NAN, 1e-45f,
                                -1e-45f, 3e38f, 464,      465,       61440, 61441};
  for (int code = 0; code < 0x7e; ++code) {
    float low = widen(static_cast<uint8_t>(code)), high = widen(static_cast<uint8_t>(code + 1));
    if (!std::isfinite(high))
      continue;
    float middle = (low + high) / 2;
    for (float x : {low, middle, std::nextafter(middle, 0.0f), std::nextafter(middle, INFINITY)})
      numbers.insert(numbers.end(), {x, -x});
  }
  std::mt19937 random(1);
  while (numbers.size() < count)
    numbers.push_back(std::bit_cast<float>(static_cast<uint32_t>(random())));
  return numbers;
}

TEST_P(Fp8, RoundsToNearestEvenAndSaturates) {
  for (const std::string &format : formats)
    for (int64_t columns : {1024, 1023}) {
      bool isFine = format == "f8E4M3FN";
      std::vector<float> numbers = hardNumbers(isFine ? e4m3ToF32 : e5m2ToF32, columns * 4);
      KernelRunner runner(copyText("f32", format, columns), GetParam());
      ASSERT_TRUE(runner);
      std::vector<uint8_t> codes(columns * 4, 0xaa);
      runner.run("copy", {numbers.data(), codes.data()}, stepOf(4), 0, 2);
      for (size_t i = 0; i < codes.size(); ++i)
        EXPECT_EQ(codes[i], isFine ? f32ToE4m3(numbers[i]) : f32ToE5m2(numbers[i]))
            << format << " " << numbers[i];
    }
}

INSTANTIATE_TEST_SUITE_P(, Fp8, testing::ValuesIn(everyMachine),
                         [](const auto &info) { return info.param.name(); });

/// The conversions that all others are compared with, by their definition.
TEST(Fp8Numbers, AreTheNearest) {
  for (auto [narrow, widen, largest] :
       {std::tuple(&f32ToE4m3, &e4m3ToF32, 448.0f), std::tuple(&f32ToE5m2, &e5m2ToF32, 57344.0f)}) {
    for (float x : hardNumbers(widen, 20000)) {
      uint8_t code = narrow(x);
      if (std::isnan(x)) {
        EXPECT_EQ(code, 0x7f);
        continue;
      }
      EXPECT_EQ(code >> 7, std::signbit(x)) << x;
      double wanted = std::min<double>(std::abs(x), largest), best = INFINITY;
      int nearest = -1;
      for (int each = 0; each < 0x7f; ++each) {
        float candidate = widen(static_cast<uint8_t>(each));
        if (!std::isfinite(candidate))
          continue;
        double distance = std::abs(candidate - wanted);
        if (distance < best || (distance == best && each % 2 == 0))
          best = distance, nearest = each;
      }
      EXPECT_EQ(code & 0x7f, nearest) << x;
    }
  }
}

} // namespace
} // namespace sinter::test
