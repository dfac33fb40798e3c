// SPDX-License-Identifier: Apache-2.0
// kernel.rows against naive code in double: reductions, stores of every type, groups, and the cache.
#include "test/execute/KernelRunner.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>

namespace sinter::test {
namespace {

class Rows : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }
};

/// A step of `rows` tokens at positions 7, 8, ... of slot 0.
struct Step {
  explicit Step(int64_t rows) : positions(rows), slots(rows), tokens(rows), select(rows) {
    for (int64_t i = 0; i < rows; ++i) {
      positions[i] = static_cast<int32_t>(7 + i);
      tokens[i] = static_cast<int32_t>(i * 3 % 5);
      select[i] = static_cast<int32_t>(i);
    }
    step = {.rows = rows,
            .selected = rows,
            .tokens = tokens.data(),
            .positions = positions.data(),
            .slots = slots.data(),
            .select = select.data(),
            .logits = nullptr,
            .keys = 7 + rows,
            .cache_tokens = 64,
            .cache_slot_bytes = 0};
  }
  std::vector<int32_t> positions, slots, tokens, select;
  sinter_step step;
};

const int64_t sizes[] = {1, 3, 17, 33, 100, 576, 2048};

TEST_P(Rows, AddsAResidualInPlaceAndNormalises) {
  for (int64_t n : sizes) {
    std::string v = fmt::format("vector<{}xf32>", n), t = fmt::format("!kernel.rows<{}xf32>", n);
    std::string text = fmt::format(R"(
kernel.func @norm(%x: {1}, %y: {1}, %w: !kernel.table<1x{2}xf32>, %out: {1}) {{
  kernel.rows over(rows) schedule<rows_per_tile = 2> {{
  ^bb0(%row: index):
    %zero = arith.constant 0 : index
    %a = kernel.load %x[%row] : {1}, {0}
    %b = kernel.load %y[%row] : {1}, {0}
    %r = arith.addf %a, %b : {0}
    kernel.store %r, %x[%row] : {0}, {1}
    %s = arith.mulf %r, %r : {0}
    %sum = vector.reduction <add>, %s : {0} into f32
    %n = arith.constant {2}.0 : f32
    %eps = arith.constant 1.0e-5 : f32
    %mean = arith.divf %sum, %n : f32
    %me = arith.addf %mean, %eps : f32
    %inv = math.rsqrt %me : f32
    %iv = vector.broadcast %inv : f32 to {0}
    %scaled = arith.mulf %r, %iv : {0}
    %scale = kernel.load %w[%zero] : !kernel.table<1x{2}xf32>, {0}
    %o = arith.mulf %scaled, %scale : {0}
    kernel.store %o, %out[%row] : {0}, {1}
  }}
}})",
                                   v, t, n);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    for (int64_t rows : {1, 5}) {
      Step step(rows);
      std::vector<float> x = randomFloats(rows * n, 1), y = randomFloats(rows * n, 2), w = randomFloats(n, 3);
      std::vector<float> before = x, out(rows * n, NAN);
      int64_t tiles = (rows + 1) / 2;
      for (int64_t tile = 0; tile < tiles; ++tile)
        runner.run("norm", {x.data(), y.data(), w.data(), out.data()}, step.step, tile, tile + 1);
      for (int64_t r = 0; r < rows; ++r) {
        double sum = 0;
        for (int64_t i = 0; i < n; ++i)
          sum += std::pow(static_cast<double>(before[r * n + i]) + y[r * n + i], 2);
        double inverse = 1 / std::sqrt(sum / n + 1e-5);
        for (int64_t i = 0; i < n; ++i) {
          float residual = before[r * n + i] + y[r * n + i];
          ASSERT_EQ(x[r * n + i], residual) << n << " columns, row " << r << ", column " << i;
          double expected = residual * inverse * w[i];
          ASSERT_NEAR(out[r * n + i], expected, 1e-6 * (1 + std::abs(expected)))
              << n << " columns, row " << r << ", column " << i;
        }
      }
    }
  }
}

TEST_P(Rows, NormalisesWithMeanAndVariance) {
  for (int64_t n : sizes) {
    std::string v = fmt::format("vector<{}xf32>", n), t = fmt::format("!kernel.rows<{}xf32>", n);
    std::string text = fmt::format(R"(
kernel.func @norm(%x: {1}, %out: {1}) {{
  kernel.rows over(rows) {{
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : {1}, {0}
    %n = arith.constant {2}.0 : f32
    %eps = arith.constant 1.0e-5 : f32
    %sum = vector.reduction <add>, %a : {0} into f32
    %mean = arith.divf %sum, %n : f32
    %mv = vector.broadcast %mean : f32 to {0}
    %c = arith.subf %a, %mv : {0}
    %s = arith.mulf %c, %c : {0}
    %squares = vector.reduction <add>, %s : {0} into f32
    %variance = arith.divf %squares, %n : f32
    %ve = arith.addf %variance, %eps : f32
    %inv = math.rsqrt %ve : f32
    %iv = vector.broadcast %inv : f32 to {0}
    %o = arith.mulf %c, %iv : {0}
    kernel.store %o, %out[%row] : {0}, {1}
  }}
}})",
                                   v, t, n);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    Step step(1);
    std::vector<float> x = randomFloats(n, 1), out(n, NAN);
    runner.run("norm", {x.data(), out.data()}, step.step, 0, 1);
    double mean = 0, variance = 0;
    for (float value : x)
      mean += value / static_cast<double>(n);
    for (float value : x)
      variance += (value - mean) * (value - mean) / n;
    for (int64_t i = 0; i < n; ++i)
      ASSERT_NEAR(out[i], (x[i] - mean) / std::sqrt(variance + 1e-5), 3e-6) << n << " columns, column " << i;
  }
}

TEST_P(Rows, ComputesSoftmaxInPlace) {
  for (int64_t n : sizes) {
    std::string v = fmt::format("vector<{}xf32>", n), t = fmt::format("!kernel.rows<{}xf32>", n);
    std::string text = fmt::format(R"(
kernel.func @softmax(%x: {1}) {{
  kernel.rows over(selected) {{
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : {1}, {0}
    %max = vector.reduction <maximumf>, %a : {0} into f32
    %mv = vector.broadcast %max : f32 to {0}
    %d = arith.subf %a, %mv : {0}
    %e = math.exp %d : {0}
    %sum = vector.reduction <add>, %e : {0} into f32
    %sv = vector.broadcast %sum : f32 to {0}
    %o = arith.divf %e, %sv : {0}
    kernel.store %o, %x[%row] : {0}, {1}
  }}
}})",
                                   v, t);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    Step step(3);
    std::vector<float> x = randomFloats(3 * n, 4), before = x;
    runner.run("softmax", {x.data()}, step.step, 0, 3);
    for (int64_t r = 0; r < 3; ++r) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i)
        sum += std::exp(static_cast<double>(before[r * n + i]));
      for (int64_t i = 0; i < n; ++i)
        ASSERT_NEAR(x[r * n + i], std::exp(before[r * n + i]) / sum, 2e-7) << n << " columns, column " << i;
    }
  }
}

std::string copyText(int64_t n, const char *from, const char *to) {
  return fmt::format(R"(
kernel.func @copy(%x: !kernel.rows<{0}x{1}>, %y: !kernel.rows<{0}x{2}>) {{
  kernel.rows over(rows) {{
  ^bb0(%row: index):
    %a = kernel.load %x[%row] : !kernel.rows<{0}x{1}>, vector<{0}xf32>
    kernel.store %a, %y[%row] : vector<{0}xf32>, !kernel.rows<{0}x{2}>
  }}
}})",
                     n, from, to);
}

TEST_P(Rows, RoundsToHalfPrecisionAndBack) {
  for (int64_t n : sizes) {
    Step step(2);
    std::vector<float> x = randomFloats(2 * n, 5), back(2 * n, NAN);
    x[0] = INFINITY;
    for (const char *type : {"f16", "bf16"}) {
      KernelRunner narrow(copyText(n, "f32", type), GetParam()), widen(copyText(n, type, "f32"), GetParam());
      ASSERT_TRUE(narrow && widen);
      AlignedBytes halves(2 * n * 2);
      narrow.run("copy", {x.data(), halves.data()}, step.step, 0, 2);
      widen.run("copy", {halves.data(), back.data()}, step.step, 0, 2);
      EXPECT_TRUE(halves.isIntact());
      for (int64_t i = 0; i < 2 * n; ++i) {
        float expected = static_cast<float>(static_cast<_Float16>(x[i]));
        if (type[0] == 'b') {
          uint32_t bits = std::bit_cast<uint32_t>(x[i]);
          expected = std::bit_cast<float>((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000);
        }
        ASSERT_EQ(back[i], expected) << type << ", element " << i << " of " << n;
      }
    }
  }
}

TEST_P(Rows, QuantisesBlocksOf32) {
  for (int64_t n : {32, 64, 96, 576, 2048}) {
    KernelRunner runner(copyText(n, "f32", "q8"), GetParam());
    ASSERT_TRUE(runner);
    Step step(2);
    std::vector<float> x = randomFloats(2 * n, 6);
    std::fill(x.begin() + n, x.begin() + n + 32, 0.f);
    int64_t rowBytes = (n + n / 32 * 8 + 63) / 64 * 64;
    AlignedBytes q(2 * rowBytes);
    runner.run("copy", {x.data(), q.data()}, step.step, 0, 2);
    EXPECT_TRUE(q.isIntact());
    for (int64_t r = 0; r < 2; ++r)
      for (int64_t block = 0; block < n / 32; ++block) {
        const char *row = q.data() + r * rowBytes;
        auto *integers = reinterpret_cast<const int8_t *>(row) + block * 32;
        float scale = reinterpret_cast<const float *>(row + n)[block];
        float sum = reinterpret_cast<const float *>(row + n + n / 8)[block];
        const float *values = x.data() + r * n + block * 32;
        float largest = 0;
        int total = 0;
        for (int i = 0; i < 32; ++i) {
          largest = std::max(largest, std::abs(values[i]));
          total += integers[i];
          ASSERT_LE(std::abs(integers[i]), 127);
          ASSERT_LE(std::abs(integers[i] * scale - values[i]), scale * 0.50001f)
              << n << " columns, row " << r;
        }
        ASSERT_FLOAT_EQ(scale, largest / 127);
        ASSERT_FLOAT_EQ(sum, scale * total);
      }
  }
}

/// A block with one number that is NaN or infinite has a scale that is no finite number either; others are as
/// they were.
TEST_P(Rows, QuantisesWhatIsNoNumberToAScaleThatIsNone) {
  constexpr int64_t n = 96, scales = n, rowBytes = (n + n / 32 * 8 + 63) / 64 * 64;
  KernelRunner runner(copyText(n, "f32", "q8"), GetParam());
  ASSERT_TRUE(runner);
  Step step(1);
  const std::vector<float> x = randomFloats(n, 6);
  AlignedBytes expected(rowBytes);
  std::vector<float> row = x;
  runner.run("copy", {row.data(), expected.data()}, step.step, 0, 1);
  for (float special : {NAN, -NAN, INFINITY, -INFINITY})
    for (int64_t place = 0; place < n; place += 5) {
      row = x, row[place] = special;
      AlignedBytes q(rowBytes);
      runner.run("copy", {row.data(), q.data()}, step.step, 0, 1);
      for (int64_t block = 0; block < n / 32; ++block) {
        float scale = reinterpret_cast<const float *>(q.data() + scales)[block];
        if (block == place / 32)
          EXPECT_FALSE(std::isfinite(scale)) << special << " at " << place << ": " << scale;
        else
          EXPECT_EQ(scale, reinterpret_cast<const float *>(expected.data() + scales)[block])
              << special << " at " << place;
        if (block == place / 32 && std::isnan(special))
          EXPECT_TRUE(std::isnan(scale)) << "NaN at " << place << ": " << scale;
      }
    }
}

TEST_P(Rows, RotatesHeadsAndAppendsThemToTheCache) {
  // Two heads of 64: norm of a head, rotation by halves, keys to panels and values to rows.
  std::string text = R"(
kernel.func @rope(%x: !kernel.rows<128xf32>, %cos: !kernel.rows<32xf32>, %sin: !kernel.rows<32xf32>,
                  %k: !kernel.cache_k<2x64xf16>, %v: !kernel.cache_v<2x64xf32>) {
  kernel.rows over(rows) columns 128 group 64 schedule<columns_per_tile = 64, rows_per_tile = 4> {
  ^bb0(%row: index, %column: index):
    %x0 = kernel.load %x[%row, %column] : !kernel.rows<128xf32>, vector<64xf32>
    %c64 = arith.constant 64 : index
    %head = arith.divui %column, %c64 : index
    %c = kernel.load %cos[%row] : !kernel.rows<32xf32>, vector<32xf32>
    %s = kernel.load %sin[%row] : !kernel.rows<32xf32>, vector<32xf32>
    %a = vector.extract_strided_slice %x0 {offsets = [0], sizes = [32], strides = [1]} : vector<64xf32> to vector<32xf32>
    %b = vector.extract_strided_slice %x0 {offsets = [32], sizes = [32], strides = [1]} : vector<64xf32> to vector<32xf32>
    %ac = arith.mulf %a, %c : vector<32xf32>
    %bs = arith.mulf %b, %s : vector<32xf32>
    %lo = arith.subf %ac, %bs : vector<32xf32>
    %bc = arith.mulf %b, %c : vector<32xf32>
    %as = arith.mulf %a, %s : vector<32xf32>
    %hi = arith.addf %bc, %as : vector<32xf32>
    %r0 = vector.insert_strided_slice %lo, %x0 {offsets = [0], strides = [1]} : vector<32xf32> into vector<64xf32>
    %r = vector.insert_strided_slice %hi, %r0 {offsets = [32], strides = [1]} : vector<32xf32> into vector<64xf32>
    kernel.append %r, %k[%row, %head] : vector<64xf32>, !kernel.cache_k<2x64xf16>
    kernel.append %x0, %v[%row, %head] : vector<64xf32>, !kernel.cache_v<2x64xf32>
  }
})";
  KernelRunner runner(text, GetParam());
  ASSERT_TRUE(runner);
  constexpr int64_t rows = 11, tokens = 64;
  Step step(rows);
  for (int64_t r = 0; r < rows; ++r)
    step.slots[r] = r % 2;
  step.step.cache_slot_bytes = 2 * tokens * 64 * 4;
  std::vector<float> x = randomFloats(rows * 128, 7), cosine(rows * 32), sine(rows * 32);
  for (int64_t i = 0; i < rows * 32; ++i) {
    cosine[i] = std::cos(0.1f * i);
    sine[i] = std::sin(0.1f * i);
  }
  AlignedBytes k(2 * step.step.cache_slot_bytes), v(2 * step.step.cache_slot_bytes);
  for (int64_t tile = 0; tile < 6; ++tile)
    runner.run("rope", {x.data(), cosine.data(), sine.data(), k.data(), v.data()}, step.step, tile, tile + 1);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t head = 0; head < 2; ++head)
      for (int64_t d = 0; d < 64; ++d) {
        int64_t position = step.positions[r];
        auto *slotK = reinterpret_cast<_Float16 *>(k.data() + step.slots[r] * step.step.cache_slot_bytes);
        auto *slotV = reinterpret_cast<float *>(v.data() + step.slots[r] * step.step.cache_slot_bytes);
        const float *in = x.data() + r * 128 + head * 64;
        float c = cosine[r * 32 + d % 32], s = sine[r * 32 + d % 32];
        float expected = d < 32 ? in[d] * c - in[d + 32] * s : in[d] * c + in[d - 32] * s;
        ASSERT_NEAR(
            static_cast<float>(slotK[head * tokens * 64 + position / 16 * 64 * 16 + d * 16 + position % 16]),
            expected, 2e-3 * (1 + std::abs(expected)));
        ASSERT_EQ(slotV[head * tokens * 64 + position * 64 + d], in[d]);
      }
}

TEST_P(Rows, AppendsKeysOfHeadsOfAnySize) {
  constexpr int64_t rows = 5, tokens = 16;
  for (int64_t size : {8, 16, 40, 256}) {
    std::string text = R"(
kernel.func @keys(%x: !kernel.rows<$xf32>, %k: !kernel.cache_k<1x$xf32>) {
  kernel.rows over(rows) columns $ group $ schedule<columns_per_tile = $, rows_per_tile = 4> {
  ^bb0(%row: index, %column: index):
    %key = kernel.load %x[%row, %column] : !kernel.rows<$xf32>, vector<$xf32>
    %head = arith.constant 0 : index
    kernel.append %key, %k[%row, %head] : vector<$xf32>, !kernel.cache_k<1x$xf32>
  }
})";
    for (size_t at; (at = text.find('$')) != std::string::npos;)
      text.replace(at, 1, std::to_string(size));
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    Step step(rows);
    step.step.cache_slot_bytes = tokens * size * 4;
    std::vector<float> x = randomFloats(rows * size, 8), keys(tokens * size);
    runner.run("keys", {x.data(), keys.data()}, step.step, 0, 2);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t d = 0; d < size; ++d)
        ASSERT_EQ(keys[d * 16 + step.positions[r]], x[r * size + d]) << size << " " << r << " " << d;
  }
}

TEST_P(Rows, GathersSelectedRowsAndMakesAnglesOfPositions) {
  std::string text = R"(
kernel.func @select(%x: !kernel.rows<20xf32>, %inv: !kernel.table<1x20xf32>, %out: !kernel.rows<20xf32>, %cos: !kernel.rows<20xf32>) {
  kernel.rows over(selected) {
  ^bb0(%i: index):
    %zero = arith.constant 0 : index
    %row = kernel.selected %i
    %a = kernel.load %x[%row] : !kernel.rows<20xf32>, vector<20xf32>
    kernel.store %a, %out[%i] : vector<20xf32>, !kernel.rows<20xf32>
    %position = kernel.position %row
    %p32 = arith.index_cast %position : index to i32
    %p = arith.sitofp %p32 : i32 to f32
    %pv = vector.broadcast %p : f32 to vector<20xf32>
    %f = kernel.load %inv[%zero] : !kernel.table<1x20xf32>, vector<20xf32>
    %angle = arith.mulf %pv, %f : vector<20xf32>
    %c = math.cos %angle : vector<20xf32>
    kernel.store %c, %cos[%i] : vector<20xf32>, !kernel.rows<20xf32>
  }
})";
  KernelRunner runner(text, GetParam());
  ASSERT_TRUE(runner);
  Step step(9);
  step.step.selected = 2;
  step.select = {3, 8};
  step.positions[8] = 999999;
  step.step.select = step.select.data();
  std::vector<float> x = randomFloats(9 * 20, 8), inverse(20), out(40, NAN), cosine(40, NAN);
  for (int i = 0; i < 20; ++i)
    inverse[i] = std::pow(10000.f, -i / 20.f);
  runner.run("select", {x.data(), inverse.data(), out.data(), cosine.data()}, step.step, 0, 2);
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 20; ++j) {
      ASSERT_EQ(out[i * 20 + j], x[step.select[i] * 20 + j]);
      float angle = static_cast<float>(step.positions[step.select[i]]) * inverse[j];
      ASSERT_NEAR(cosine[i * 20 + j], std::cos(static_cast<double>(angle)), 1e-7);
    }
}

TEST_P(Rows, ReadsWhatItOverwritesBeforeThatEvenIfItIsNeededLater) {
  // %b is needed after the second sum only, when %x has been overwritten.
  for (int64_t n : sizes) {
    std::string v = fmt::format("vector<{}xf32>", n), t = fmt::format("!kernel.rows<{}xf32>", n);
    std::string text = fmt::format(R"(
kernel.func @twice(%x: {1}, %y: {1}, %out: {1}) {{
  kernel.rows over(rows) {{
  ^bb0(%row: index):
    %b = kernel.load %x[%row] : {1}, {0}
    %a = kernel.load %y[%row] : {1}, {0}
    %sum = vector.reduction <add>, %a : {0} into f32
    %sv = vector.broadcast %sum : f32 to {0}
    %p = arith.mulf %a, %sv : {0}
    kernel.store %p, %x[%row] : {0}, {1}
    %high = vector.reduction <maximumf>, %p : {0} into f32
    %hv = vector.broadcast %high : f32 to {0}
    %o = arith.addf %b, %hv : {0}
    kernel.store %o, %out[%row] : {0}, {1}
  }}
}})",
                                   v, t);
    KernelRunner runner(text, GetParam());
    ASSERT_TRUE(runner);
    Step step(3);
    std::vector<float> x = randomFloats(3 * n, 1), y = randomFloats(3 * n, 2), before = x, out(3 * n, NAN);
    runner.run("twice", {x.data(), y.data(), out.data()}, step.step, 0, 3);
    for (int64_t r = 0; r < 3; ++r) {
      double sum = 0, high = -INFINITY;
      for (int64_t i = 0; i < n; ++i)
        sum += y[r * n + i];
      for (int64_t i = 0; i < n; ++i)
        high = std::max(high, y[r * n + i] * sum);
      for (int64_t i = 0; i < n; ++i) {
        double tolerance = 1e-5 * std::sqrt(n);
        ASSERT_NEAR(x[r * n + i], y[r * n + i] * sum, tolerance * (1 + std::abs(y[r * n + i])));
        ASSERT_NEAR(out[r * n + i], before[r * n + i] + high, tolerance * (1 + std::abs(high)))
            << n << " columns, row " << r << ", column " << i;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Rows, testing::ValuesIn(everyMachineButAmx),
                         [](const auto &info) { return info.param.name(); });

} // namespace
} // namespace sinter::test
