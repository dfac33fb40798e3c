// SPDX-License-Identifier: Apache-2.0
// kernel.attention and kernel.combine against naive code in double, over odd lengths, windows, caps and
// slopes.
#include "test/execute/KernelRunner.h"

#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <random>

namespace sinter::test {
namespace {

struct Shape {
  int64_t heads = 9, keyHeads = 3, keySize = 64, valueSize = 64;
  const char *element = "f16";
  int64_t window = 0;
  double softcap = 0;
  bool slopes = false;
  int64_t keysPerTile = 0, rowsPerTile = 64;
  bool schedule = true;
  bool narrowQuery = false; // of the cache's type
  int64_t streams = 0;

  double scale() const { return 1 / std::sqrt(static_cast<double>(keySize)); }
  int64_t elementBytes() const { return std::string(element) == "f32" ? 4 : 2; }
  std::string text(bool prefill) const {
    std::string q = fmt::format("!kernel.rows<{}x{}>", heads * keySize, narrowQuery ? element : "f32"),
                k = fmt::format("!kernel.cache_k<{}x{}x{}>", keyHeads, keySize, element),
                v = fmt::format("!kernel.cache_v<{}x{}x{}>", keyHeads, valueSize, element),
                s = fmt::format("!kernel.table<1x{}xf32>", heads),
                o = fmt::format("!kernel.rows<{}xf32>", heads * valueSize);
    std::string p = keysPerTile && !prefill
                        ? fmt::format("!kernel.partial<{}x{}, keys {}>", heads, valueSize, keysPerTile)
                        : o;
    std::string result = fmt::format(
        "kernel.func @attention(%q: {0}, %k: {1}, %v: {2}, %s: {3}, %o: {4}) {{\n"
        "  kernel.attention {5} heads {6} scale {7:e} {8} {9} query(%q : {0}) keys(%k : {1}) values(%v : "
        "{2}) {10} "
        "output(%o : {4}) {11}\n}}\n",
        q, k, v, s, p, prefill ? "prefill" : "decode", heads, scale(),
        window ? fmt::format("window {}", window) : "", softcap ? fmt::format("softcap {:e}", softcap) : "",
        slopes ? fmt::format("slopes(%s : {})", s) : "",
        schedule
            ? fmt::format("schedule<rows_per_tile = {}, streams = {}, key_block = 64>", rowsPerTile, streams)
            : "");
    if (p != o)
      result += fmt::format(
          "kernel.func @combine(%p: {0}, %o: {1}) {{\n  kernel.rows over(rows) {{\n  ^bb0(%row: index):\n"
          "    %x = kernel.combine %p[%row] {2} : {0}, vector<{3}xf32>\n"
          "    kernel.store %x, %o[%row] : vector<{3}xf32>, {1}\n  }}\n}}\n",
          p, o, window ? fmt::format("window {}", window) : "", heads * valueSize);
    return result;
  }
};

void put(char *base, int64_t index, float value, const std::string &element) {
  if (element == "f32")
    std::memcpy(base + index * 4, &value, 4);
  else if (element == "f16") {
    _Float16 half = static_cast<_Float16>(value);
    std::memcpy(base + index * 2, &half, 2);
  } else {
    uint32_t bits = std::bit_cast<uint32_t>(value) >> 16;
    std::memcpy(base + index * 2, &bits, 2);
  }
}
float get(const char *base, int64_t index, const std::string &element) {
  if (element == "f32") {
    float value;
    std::memcpy(&value, base + index * 4, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, base + index * 2, 2);
  return element == "f16" ? static_cast<float>(std::bit_cast<_Float16>(bits))
                          : std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// Caches of two slots, queries, and what the rows see. What no row may read is NaN.
struct Data {
  Data(const Shape &shape, std::vector<int32_t> positions, std::vector<int32_t> slots)
      : shape(shape), positions(std::move(positions)), slots(std::move(slots)), rows(this->positions.size()),
        tokens((*std::max_element(this->positions.begin(), this->positions.end()) + 16) / 16 * 16 + 32),
        k(bytes(shape.keySize), 0xff), v(bytes(shape.valueSize), 0xff), q(rows * shape.heads * shape.keySize),
        slopes(shape.heads), output(rows * shape.heads * shape.valueSize, NAN) {
    std::mt19937 generator(11);
    std::normal_distribution<float> normal;
    for (float &value : q)
      value = 2 * normal(generator);
    if (shape.narrowQuery) {
      narrow.resize(q.size() * 2);
      for (int64_t i = 0; i < static_cast<int64_t>(q.size()); ++i) {
        put(narrow.data(), i, q[i], shape.element);
        q[i] = get(narrow.data(), i, shape.element);
      }
    }
    for (int64_t h = 0; h < shape.heads; ++h)
      slopes[h] = std::pow(2.f, -8.f * (h + 1) / shape.heads);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t h = 0; h < shape.keyHeads; ++h)
        for (int64_t t = 0; t <= this->positions[r]; ++t) {
          for (int64_t d = 0; d < shape.keySize; ++d)
            put(k.data() + this->slots[r] * slotBytes(), keyIndex(h, t, d), normal(generator), shape.element);
          for (int64_t d = 0; d < shape.valueSize; ++d)
            put(v.data() + this->slots[r] * slotBytes(), (h * tokens + t) * shape.valueSize + d,
                normal(generator), shape.element);
        }
    step = {.rows = rows,
            .selected = 0,
            .tokens = nullptr,
            .positions = this->positions.data(),
            .slots = this->slots.data(),
            .select = nullptr,
            .logits = nullptr,
            .keys = 1 + *std::max_element(this->positions.begin(), this->positions.end()),
            .cache_tokens = tokens,
            .cache_slot_bytes = slotBytes()};
  }
  int64_t slotBytes() const {
    return shape.keyHeads * tokens * std::max(shape.keySize, shape.valueSize) * shape.elementBytes();
  }
  int64_t bytes(int64_t) const { return 2 * slotBytes(); }
  int64_t keyIndex(int64_t h, int64_t t, int64_t d) const {
    return h * tokens * shape.keySize + t / 16 * shape.keySize * 16 + d * 16 + t % 16;
  }

  void check(double tolerance = 2e-5) const {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t h = 0; h < shape.heads; ++h) {
        int64_t kv = h / (shape.heads / shape.keyHeads), position = positions[r];
        const char *slotK = k.bytesOf() + slots[r] * slotBytes(),
                   *slotV = v.bytesOf() + slots[r] * slotBytes();
        int64_t first = shape.window ? std::max<int64_t>(0, position + 1 - shape.window) : 0;
        std::vector<double> weights;
        double largest = -INFINITY, sum = 0;
        for (int64_t t = first; t <= position; ++t) {
          double score = 0;
          for (int64_t d = 0; d < shape.keySize; ++d)
            score += static_cast<double>(q[(r * shape.heads + h) * shape.keySize + d]) *
                     get(slotK, keyIndex(kv, t, d), shape.element);
          score *= shape.scale();
          if (shape.softcap)
            score = shape.softcap * std::tanh(score / shape.softcap);
          if (shape.slopes)
            score -= slopes[h] * static_cast<double>(position - t);
          weights.push_back(score);
          largest = std::max(largest, score);
        }
        for (double &weight : weights)
          sum += weight = std::exp(weight - largest);
        for (int64_t d = 0; d < shape.valueSize; ++d) {
          double expected = 0;
          for (int64_t t = first; t <= position; ++t)
            expected +=
                weights[t - first] / sum * get(slotV, (kv * tokens + t) * shape.valueSize + d, shape.element);
          ASSERT_NEAR(output[(r * shape.heads + h) * shape.valueSize + d], expected, tolerance)
              << "row " << r << " at position " << position << ", head " << h << ", column " << d;
        }
      }
  }

  void decode(const KernelRunner &runner) {
    std::vector<void *> buffers = {q.data(), k.data(), v.data(), slopes.data(), output.data()};
    if (!shape.keysPerTile)
      return runner.run("attention", buffers, step, 0, shape.keyHeads * rows);
    int64_t chunks = (tokens + shape.keysPerTile - 1) / shape.keysPerTile;
    int64_t rowBytes = (shape.heads * (shape.valueSize + 2) * 4 + 63) / 64 * 64;
    AlignedBytes partial(rows * chunks * rowBytes, 0xff);
    buffers.back() = partial.data();
    int64_t tiles = shape.keyHeads * rows * ((step.keys + shape.keysPerTile - 1) / shape.keysPerTile);
    runner.run("attention", buffers, step, tiles / 2, tiles);
    runner.run("attention", buffers, step, 0, tiles / 2);
    EXPECT_TRUE(partial.isIntact());
    runner.run("combine", {partial.data(), output.data()}, step, 0, rows);
  }
  void prefill(const KernelRunner &runner) {
    void *query = shape.narrowQuery ? static_cast<void *>(narrow.data()) : q.data();
    std::vector<void *> buffers = {query, k.data(), v.data(), slopes.data(), output.data()};
    int64_t perTile = shape.schedule ? shape.rowsPerTile : 64;
    int64_t tiles = shape.heads * ((rows + perTile - 1) / perTile);
    runner.run("attention", buffers, step, tiles / 2, tiles);
    runner.run("attention", buffers, step, 0, tiles / 2);
  }

  struct Bytes : AlignedBytes {
    using AlignedBytes::AlignedBytes;
    const char *bytesOf() const { return const_cast<Bytes *>(this)->data(); }
  };
  Shape shape;
  std::vector<int32_t> positions, slots;
  int64_t rows, tokens;
  Bytes k, v;
  std::vector<float> q, slopes, output;
  std::vector<char> narrow; // the queries in the cache's type
  sinter_step step;
};

class Attention : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }
  void checkDecode(const Shape &shape, const std::vector<std::vector<int32_t>> &steps) {
    KernelRunner runner(shape.text(false), GetParam());
    ASSERT_TRUE(runner);
    for (const std::vector<int32_t> &positions : steps) {
      std::vector<int32_t> slots(positions.size());
      for (size_t i = 0; i < slots.size(); ++i)
        slots[i] = static_cast<int32_t>((i + 1) % 2);
      Data data(shape, positions, slots);
      data.decode(runner);
      data.check();
    }
  }
  void checkPrefill(const Shape &shape, std::vector<std::pair<int64_t, int64_t>> steps) {
    if (GetParam().isGpu()) // emulated: some seconds less
      steps = {{0, 1}, {0, 17}, {5, 33}, {130, shape.rowsPerTile > 64 ? 101 : 37}};
    checkSteps(shape, steps);
  }
  void checkSteps(const Shape &shape, const std::vector<std::pair<int64_t, int64_t>> &steps) {
    KernelRunner runner(shape.text(true), GetParam());
    ASSERT_TRUE(runner);
    for (auto [first, rows] : steps) {
      std::vector<int32_t> positions(rows), slots(rows, 1);
      for (int64_t i = 0; i < rows; ++i)
        positions[i] = static_cast<int32_t>(first + i);
      Data data(shape, positions, slots);
      data.prefill(runner);
      // Tensor cores take queries and weights in the cache's type: 11 bits of f16, 8 of bf16.
      std::string element = shape.element;
      bool rounds = GetParam().isGpu() && shape.keySize % 16 == 0 && element != "f32";
      data.check(!rounds ? 2e-5 : element == "f16" ? 4e-3 : 3e-2);
    }
  }
};

const std::vector<std::vector<int32_t>> positions = {{0},      {2},  {15},    {16},
                                                     {63, 32}, {64}, {99, 0}, {300, 17}};
const std::vector<std::pair<int64_t, int64_t>> spans = {{0, 1},   {0, 3},  {0, 17},  {0, 64},
                                                        {0, 100}, {5, 33}, {130, 70}};

TEST_P(Attention, DecodesOverAllKeys) {
  for (const char *element : {"f16", "bf16", "f32"})
    checkDecode({.element = element}, positions);
}

TEST_P(Attention, DecodesInChunksThatAreCombined) {
  for (const char *element : {"f16", "bf16", "f32"})
    checkDecode({.element = element, .keysPerTile = 64}, positions);
  checkDecode({.keysPerTile = 256}, positions);
}

TEST_P(Attention, DecodesWithWindowCapAndSlopes) {
  for (int64_t keys : {0, 32}) {
    checkDecode({.window = 40, .keysPerTile = keys}, positions);
    checkDecode({.window = 1, .keysPerTile = keys}, positions);
    checkDecode({.softcap = 3, .keysPerTile = keys}, positions);
    checkDecode({.slopes = true, .keysPerTile = keys}, positions);
  }
}

TEST_P(Attention, DecodesHeadsOfOddSizes) {
  checkDecode({.heads = 1, .keyHeads = 1, .keySize = 1, .valueSize = 1}, positions);
  checkDecode({.heads = 3, .keyHeads = 1, .keySize = 17, .valueSize = 33}, positions);
  checkDecode({.heads = 16, .keyHeads = 1, .keySize = 80, .valueSize = 80, .keysPerTile = 32}, positions);
  checkDecode({.heads = 4, .keyHeads = 1, .keySize = 256, .valueSize = 256}, positions);
}

TEST_P(Attention, DecodesARowAlikeWhateverTheOthersAre) {
  for (int64_t keys : {0, 64}) {
    Shape shape{.keysPerTile = keys};
    KernelRunner runner(shape.text(false), GetParam());
    ASSERT_TRUE(runner);
    Data together(shape, {100, 37}, {0, 1}), alone(shape, {100}, {0});
    std::copy_n(together.q.begin(), alone.q.size(), alone.q.begin());
    std::memcpy(alone.k.data(), together.k.data(), alone.k.size());
    std::memcpy(alone.v.data(), together.v.data(), alone.v.size());
    together.decode(runner);
    alone.decode(runner);
    EXPECT_EQ(std::vector<float>(together.output.begin(), together.output.begin() + alone.output.size()),
              alone.output);
  }
}

TEST_P(Attention, PrefillsSpansOfASequence) {
  for (const char *element : {"f16", "bf16", "f32"})
    checkPrefill({.element = element}, spans);
  checkPrefill({.rowsPerTile = 5}, spans);
  checkPrefill({.rowsPerTile = 128}, spans);
  checkPrefill({.heads = 2, .keyHeads = 1, .schedule = false}, spans); // 64 rows a tile
}

TEST_P(Attention, PrefillsQueriesOfTheCachesType) {
  for (const char *element : {"f16", "bf16"})
    checkPrefill({.heads = 3, .keyHeads = 1, .element = element, .rowsPerTile = 128, .narrowQuery = true},
                 spans);
  checkPrefill({.heads = 2, .keyHeads = 1, .softcap = 3, .narrowQuery = true}, spans);
  checkPrefill({.heads = 3, .keyHeads = 1, .keySize = 40, .valueSize = 40, .narrowQuery = true}, spans);
}

TEST_P(Attention, PrefillsWithWindowCapAndSlopes) {
  checkPrefill({.window = 40}, spans);
  checkPrefill({.window = 1}, spans);
  checkPrefill({.softcap = 3}, spans);
  checkPrefill({.slopes = true}, spans);
  checkPrefill({.window = 70, .softcap = 30, .slopes = true}, spans);
  checkPrefill({.window = 40, .rowsPerTile = 128}, spans);
}

TEST_P(Attention, PrefillsHeadsOfOddSizes) {
  checkPrefill({.heads = 1, .keyHeads = 1, .keySize = 1, .valueSize = 1}, spans);
  checkPrefill({.heads = 3, .keyHeads = 1, .keySize = 17, .valueSize = 33}, spans);
  checkPrefill({.heads = 4, .keyHeads = 1, .keySize = 256, .valueSize = 256}, spans);
  checkPrefill({.heads = 4, .keyHeads = 2, .keySize = 128, .valueSize = 128, .rowsPerTile = 128}, spans);
  checkPrefill({.heads = 2, .keyHeads = 1, .keySize = 80, .valueSize = 96}, spans);
  checkPrefill({.heads = 2, .keyHeads = 2, .keySize = 96, .valueSize = 16, .element = "bf16"}, spans);
}

TEST_P(Attention, PrefillsByWarpgroupsInTurns) {
  if (GetParam().architecture != gpu::Architecture::Sm90)
    GTEST_SKIP() << "only sm_90a has warpgroups";
  // Blocks of keys go round their ring; a warpgroup without rows, without keys in some blocks; tiles of two
  // turns; blocks whose keys end where they do, one before and one after. Two heads that share keys are a
  // cluster, else two tiles of rows: an odd number of tiles, a second one that sees more keys, or fewer.
  auto shape = [](int64_t size, Shape others = {}, int64_t keyHeads = 1) {
    others.heads = 2, others.keyHeads = keyHeads, others.keySize = others.valueSize = size;
    others.rowsPerTile = std::max<int64_t>(others.rowsPerTile, 128);
    return others;
  };
  checkSteps(shape(64, {.narrowQuery = true}), {{0, 256}, {600, 70}});
  checkSteps(shape(64, {.rowsPerTile = 256}), {{77, 200}});
  checkSteps(shape(64, {.rowsPerTile = 256}, 2), {{77, 200}});
  checkSteps(shape(64, {.narrowQuery = true}, 2), {{0, 256}, {600, 70}, {30, 300}});
  checkSteps(shape(32, {.window = 50}, 2), {{300, 257}});
  checkSteps({.heads = 3, .keyHeads = 1, .keySize = 64, .valueSize = 64, .rowsPerTile = 128}, {{130, 330}});
  checkSteps(shape(16, {.element = "bf16", .narrowQuery = true}), {{0, 127}, {1, 128}, {448, 65}});
  checkSteps(shape(32, {.window = 100, .narrowQuery = true}), {{400, 70}, {100, 129}});
  checkSteps(shape(32, {.window = 300, .softcap = 5, .slopes = true}), {{500, 70}});
  checkSteps(shape(96, {.softcap = 30, .narrowQuery = true}), {{1, 128}});
  checkSteps(shape(128, {.element = "bf16", .narrowQuery = true}), {{330, 70}});
  checkSteps(shape(128, {.element = "bf16", .narrowQuery = true}, 2), {{330, 70}});
  checkSteps(shape(128, {.window = 300, .softcap = 5, .narrowQuery = true}), {{300, 65}});
  checkSteps(shape(256, {.narrowQuery = true}), {{150, 70}});
  checkSteps(shape(256, {.softcap = 30, .slopes = true}), {{60, 70}});
}

TEST_P(Attention, PrefillsByWarpgroupsThatCopyAndMultiply) {
  if (GetParam().architecture != gpu::Architecture::Sm90)
    GTEST_SKIP() << "only sm_90a has warpgroups";
  for (const char *element : {"f16", "bf16"})
    checkPrefill({.heads = 3, .keyHeads = 1, .element = element, .rowsPerTile = 128, .streams = 1}, spans);
  checkPrefill({.heads = 2, .keyHeads = 1, .window = 40, .softcap = 3, .rowsPerTile = 128, .streams = 1},
               spans);
  checkPrefill({.heads = 2, .keyHeads = 1, .streams = 2}, spans); // a warpgroup has never rows
}

TEST(AttentionForAmx, CompilesWhereItCannotRun) {
  for (bool prefill : {false, true}) {
    KernelRunner runner(Shape{.element = "bf16", .keysPerTile = 64}.text(prefill), cpu::Isa::Amx);
    EXPECT_TRUE(runner);
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, Attention, testing::ValuesIn(everyMachineButAmx),
                         [](const auto &info) { return info.param.name(); });

} // namespace
} // namespace sinter::test
