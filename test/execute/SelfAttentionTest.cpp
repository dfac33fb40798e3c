// SPDX-License-Identifier: Apache-2.0
// kernel.self_attention and its backward pass against whole matrices in double, on odd sizes: in f32, and
// with factors rounded to bf16.
#include "dialects/lm/Dropout.h"
#include "runtime/training/TrainingAbi.h"
#include "test/execute/TrainingStep.h"

#include <cmath>
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace sinter::test {
namespace {

class SelfAttention : public testing::TestWithParam<Machine> {
protected:
  void SetUp() override {
    if (!canRun(GetParam()))
      GTEST_SKIP() << "this machine does not run " << GetParam().name();
  }
};

struct AttentionCase {
  int64_t batch, sequence, heads, keyHeads, size, valueSize, window;
  double softcap;
  bool slopes;
  double dropout = 0;
};

/// Rows that attention and its backward pass read: queries, keys, values and the output's gradient.
struct AttentionRows {
  std::vector<float> q, k, v, g;
};

/// Attention in double, and its gradients by the chain rule on whole matrices of probabilities. `found`: an
/// output whose products with the gradient the backward pass takes instead of its own, of a kernel that
/// rounds factors to bf16: so are rows, probabilities and gradients by scaled products of query and key here
/// (but not in the forward pass).
struct NaiveAttention {
  std::vector<double> output, dq, dk, dv;
  NaiveAttention(const AttentionCase &c, const Step &step, const AttentionRows &exact,
                 const std::vector<float> &slopes, double scale, const std::vector<float> *found = nullptr) {
    AttentionRows rounded = exact;
    if (found)
      rounded = {toBf16(exact.q), toBf16(exact.k), toBf16(exact.v), toBf16(exact.g)};
    const auto &[q, k, v, g] = rounded;
    auto factorOf = [&](double number) { return found ? toBf16(static_cast<float>(number)) : number; };
    int64_t rows = c.batch * c.sequence, group = c.heads / c.keyHeads;
    int64_t qw = c.heads * c.size, kw = c.keyHeads * c.size, vw = c.keyHeads * c.valueSize,
            ow = c.heads * c.valueSize;
    output.assign(rows * ow, 0), dq.assign(rows * qw, 0), dk.assign(rows * kw, 0), dv.assign(rows * vw, 0);
    for (int64_t h = 0; h < c.heads; ++h)
      for (int64_t i = 0; i < rows; ++i) {
        int64_t first = i - step.positions[i], kh = h / group;
        if (c.window)
          first = std::max(first, i + 1 - c.window);
        std::vector<double> p, slope;
        double maximum = -1e30, sum = 0, dot = 0;
        for (int64_t j = first; j <= i; ++j) {
          double s = 0, derivative = 1;
          for (int64_t d = 0; d < c.size; ++d)
            s += static_cast<double>(q[i * qw + h * c.size + d]) * k[j * kw + kh * c.size + d];
          s *= scale;
          if (c.softcap > 0) {
            double t = std::tanh(s / c.softcap);
            s = c.softcap * t;
            derivative *= 1 - t * t;
          }
          if (c.slopes)
            s += slopes[h] * static_cast<double>(j - i);
          p.push_back(s);
          slope.push_back(derivative);
          maximum = std::max(maximum, s);
        }
        for (double &s : p)
          sum += s = std::exp(s - maximum);
        std::vector<double> factor(p.size(), 1.0);
        for (int64_t j = first; j <= i; ++j) {
          p[j - first] /= sum;
          if (c.dropout > 0)
            factor[j - first] =
                lm::dropoutFactor(dropoutSeed, dropoutSite, i * c.heads + h, i - j, c.dropout);
        }
        for (int64_t j = first; j <= i; ++j)
          for (int64_t d = 0; d < c.valueSize; ++d)
            output[i * ow + h * c.valueSize + d] +=
                factor[j - first] * p[j - first] * v[j * vw + kh * c.valueSize + d];
        for (int64_t at = i * ow + h * c.valueSize, d = 0; d < c.valueSize; ++d)
          dot += exact.g[at + d] * (found ? (*found)[at + d] : output[at + d]);
        for (int64_t j = first; j <= i; ++j) {
          double dp = 0;
          for (int64_t d = 0; d < c.valueSize; ++d) {
            dp += static_cast<double>(g[i * ow + h * c.valueSize + d]) * v[j * vw + kh * c.valueSize + d];
            dv[j * vw + kh * c.valueSize + d] +=
                factorOf(factor[j - first] * p[j - first]) * g[i * ow + h * c.valueSize + d];
          }
          double ds = scale * factorOf(p[j - first] * (factor[j - first] * dp - dot) * slope[j - first]);
          for (int64_t d = 0; d < c.size; ++d) {
            dq[i * qw + h * c.size + d] += ds * k[j * kw + kh * c.size + d];
            dk[j * kw + kh * c.size + d] += ds * q[i * qw + h * c.size + d];
          }
        }
      }
  }
};

/// |found - expected| / |expected|.
template <typename T> double difference(const std::vector<float> &found, const std::vector<T> &expected) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(found[i] - expected[i], 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(difference / norm);
}

void expectNear(const std::vector<float> &found, const std::vector<double> &expected, const std::string &what,
                double limit = 3e-6) {
  EXPECT_LT(difference(found, expected), limit) << what;
}

/// `rounds`: factors of products are rounded to bf16 (on GPUs; processors may leave them as they are, and
/// do). `narrow`: queries, keys and values are in memory as bf16, and the gradients by queries are a launch
/// that prepares that of the others. `rowsPerTile`: of tiles that are not whole sequences; of gradients only
/// where they are rounded.
void checkAttention(const AttentionCase &c, Machine machine, bool rounds, bool narrow = false,
                    int64_t rowsPerTile = 0) {
  auto attributesOf = [&](bool isCut) {
    return fmt::format("{}{{heads = {} : i64, kv_heads = {} : i64, sequence = {} : i64, scale = 0.3 : f64, "
                       "window = {} : i64, softcap = {:e} : f64, dropout = {:e} : f64{}}}",
                       isCut ? fmt::format("schedule<rows_per_tile = {}> ", rowsPerTile) : "", c.heads,
                       c.keyHeads, c.sequence, c.window, c.softcap, c.dropout, rounds ? ", kernel.bf16" : "");
  };
  std::string slopesType = c.slopes ? fmt::format(", %s: !kernel.table<1x{}xf32>", c.heads) : "";
  std::string slopesUse = c.slopes ? fmt::format("slopes(%s : !kernel.table<1x{}xf32>)", c.heads) : "";
  if (c.dropout > 0) {
    slopesType += ", %site: !kernel.table<1x1xf32>";
    slopesUse += " site(%site : !kernel.table<1x1xf32>)";
  }
  auto rowsType = [](int64_t columns, bool isBf16 = false) {
    return fmt::format("!kernel.rows<{}x{}>", columns, isBf16 ? "bf16" : "f32");
  };
  std::string q = rowsType(c.heads * c.size, narrow), k = rowsType(c.keyHeads * c.size, narrow),
              v = rowsType(c.keyHeads * c.valueSize, narrow);
  std::string dqType = rowsType(c.heads * c.size), dkType = rowsType(c.keyHeads * c.size),
              dvType = rowsType(c.keyHeads * c.valueSize);
  std::string o = rowsType(c.heads * c.valueSize), l = rowsType(c.heads);
  std::string r = rowsType(c.heads * c.valueSize, true);
  std::string preparedType = narrow ? fmt::format(", %r: {}, %d: {}", r, l) : "";
  std::string prepared = narrow ? fmt::format("prepared(%r, %d : {}, {}) ", r, l) : "";
  std::string attributes = attributesOf(rowsPerTile > 0 && rounds), prepares = attributes;
  prepares.insert(prepares.size() - 1, ", prepares");
  auto backwardText = [&](const std::string &name, const std::string &of) {
    return fmt::format(R"(
kernel.func @{13}(%g: {3}, %q: {0}, %k: {1}, %v: {2}, %o: {3}, %l: {4}, %dq: {8}, %dk: {9}, %dv: {10}{5}{11}) {{
  kernel.self_attention_backward gradient(%g : {3}) query(%q : {0}) key(%k : {1}) value(%v : {2}) {6} output(%o : {3}) log_sum(%l : {4}) {12}gradients(%dq, %dk, %dv : {8}, {9}, {10}) {7}
}})",
                       q, k, v, o, l, slopesType, slopesUse, of, dqType, dkType, dvType, preparedType,
                       prepared, name);
  };
  std::string text = fmt::format(R"(
kernel.func @forward(%q: {0}, %k: {1}, %v: {2}, %o: {3}, %l: {4}{5}) {{
  kernel.self_attention query(%q : {0}) key(%k : {1}) value(%v : {2}) {6} output(%o : {3}) log_sum(%l : {4}) {7}
}})",
                                 q, k, v, o, l, slopesType, slopesUse, attributesOf(rowsPerTile > 0));
  text += backwardText("backward", attributes);
  if (narrow)
    text += backwardText("queries", prepares);
  KernelRunner runner(text, machine);
  ASSERT_TRUE(runner);
  int64_t rows = c.batch * c.sequence;
  Step step(rows, c.sequence, c.sequence > 16 ? 9 : -1);
  AttentionRows given{randomFloats(rows * c.heads * c.size, 1), randomFloats(rows * c.keyHeads * c.size, 2),
                      randomFloats(rows * c.keyHeads * c.valueSize, 3),
                      randomFloats(rows * c.heads * c.valueSize, 4)};
  auto &[Q, K, V, G] = given;
  std::vector<float> slopes = {0.5f, 0.25f, 0.125f, 0.0625f}, O(G.size(), NAN), L(rows * c.heads, NAN);
  std::vector<float> dq(Q.size(), NAN), dk(K.size(), NAN), dv(V.size(), NAN);
  std::vector<uint16_t> halfQ, halfK, halfV;
  if (narrow)
    for (auto [numbers, halves] : {std::pair(&Q, &halfQ), {&K, &halfK}, {&V, &halfV}}) {
      *numbers = toBf16(*numbers);
      *halves = halvesOf(*numbers);
    }
  auto place = [&](std::vector<float> &numbers, std::vector<uint16_t> &halves) {
    return narrow ? static_cast<void *>(halves.data()) : numbers.data();
  };
  void *query = place(Q, halfQ), *key = place(K, halfK), *value = place(V, halfV);
  std::vector<void *> forward = {query, key, value, O.data(), L.data()};
  std::vector<void *> backward = {G.data(), query,     key,       value,    O.data(),
                                  L.data(), dq.data(), dk.data(), dv.data()};
  if (c.slopes) {
    forward.push_back(slopes.data());
    backward.push_back(slopes.data());
  }
  std::vector<float> site = {dropoutSite};
  sinter_update update = {};
  update.dropout = 1;
  if (c.dropout > 0) {
    forward.push_back(site.data());
    backward.push_back(site.data());
    step.step.seed = dropoutSeed;
    step.step.update = &update;
  }
  runInParts(runner, "forward", forward, step.step, c.heads * c.batch);
  std::vector<uint16_t> rounded(G.size(), 0xffff);
  std::vector<float> dots(rows * c.heads, NAN);
  if (narrow) {
    backward.push_back(rounded.data());
    backward.push_back(dots.data());
    runInParts(runner, "queries", backward, step.step, c.keyHeads * c.batch);
  }
  runInParts(runner, "backward", backward, step.step, c.keyHeads * c.batch);
  bool isRounded = rounds && machine.isGpu() && std::max(c.size, c.valueSize) <= 256;
  // A weight of the forward pass is rounded by up to 2^-9 of it. What the backward pass rounds is known, but
  // for numbers that lie between two of bf16's as far as f32 tells.
  double limit = isRounded ? 3e-3 : 3e-6, backwardLimit = isRounded ? 1e-4 : 3e-6;
  NaiveAttention naive(c, step, given, slopes, 0.3, isRounded ? &O : nullptr);
  std::string what = fmt::format("sequence {}, heads {} of {} and {}, window {}", c.sequence, c.heads, c.size,
                                 c.valueSize, c.window);
  expectNear(O, naive.output, what + ": output", limit);
  expectNear(dv, naive.dv, what + ": value", backwardLimit);
  if (c.sequence == 1) // softmax over one key does not change
    return;
  expectNear(dq, naive.dq, what + ": query", backwardLimit);
  expectNear(dk, naive.dk, what + ": key", backwardLimit);
  if (c.dropout == 0)
    return;
  update.dropout = 0; // an evaluation
  runInParts(runner, "forward", forward, step.step, c.heads * c.batch);
  AttentionCase whole = c;
  whole.dropout = 0;
  expectNear(O, NaiveAttention(whole, step, given, slopes, 0.3, isRounded ? &O : nullptr).output,
             what + ": output without dropout", limit);
}

TEST_P(SelfAttention, AttentionAndItsGradientsAreThoseOfWholeMatrices) {
  const AttentionCase cases[] = {
      {1, 1, 1, 1, 4, 4, 0, 0, false},          {2, 17, 2, 2, 8, 8, 0, 0, false},
      {2, 70, 6, 2, 12, 12, 0, 0, false},       {1, 130, 4, 1, 16, 16, 0, 0, true},
      {1, 150, 2, 2, 20, 20, 33, 0, false},     {2, 65, 3, 3, 7, 9, 0, 5.0, false},
      {1, 200, 4, 2, 64, 64, 70, 10.0, true},   {2, 17, 2, 2, 8, 8, 0, 0, false, 0.1},
      {2, 150, 6, 2, 12, 12, 0, 0, false, 0.5}, {1, 200, 4, 2, 64, 64, 70, 10.0, true, 0.25},
      {1, 70, 2, 1, 80, 72, 0, 0, false},
  };
  for (AttentionCase c : cases) {
    if (GetParam().isGpu()) // emulated, with races checked: two blocks of keys are enough
      c.sequence = std::min<int64_t>(c.sequence, 80);
    checkAttention(c, GetParam(), /*rounds=*/false);
  }
}

/// On GPUs alone: processors take whole sequences.
class SelfAttentionInParts : public SelfAttention {};

TEST_P(SelfAttentionInParts, OfASequenceIsTheSame) {
  checkAttention({1, 128, 2, 1, 12, 12, 40, 0, true}, GetParam(), /*rounds=*/false, /*narrow=*/false, 64);
  for (const AttentionCase &c : std::initializer_list<AttentionCase>{
           {2, 128, 6, 2, 12, 12, 0, 0, false},
           {1, 192, 4, 2, 64, 64, 70, 10.0, true, 0.25},
           {1, 128, 2, 1, 80, 72, 100, 0, false, 0.1},
           {1, 64, 2, 2, 20, 20, 0, 0, false},
           {1, 128, 2, 1, 160, 256, 0, 20.0, true},
       })
    for (bool narrow : {false, true})
      checkAttention(c, GetParam(), /*rounds=*/true, narrow, 64);
  checkAttention({1, 256, 1, 1, 16, 16, 0, 0, false}, GetParam(), /*rounds=*/true, /*narrow=*/false, 128);
}

TEST_P(SelfAttention, RoundedAttentionAndItsGradientsAreThoseOfRoundedFactors) {
  // Heads of each cut (up to 64, 128 and 256), and longer ones, which are not rounded.
  for (const AttentionCase &c : std::initializer_list<AttentionCase>{
           {1, 1, 1, 1, 4, 4, 0, 0, false},
           {2, 70, 6, 2, 12, 12, 0, 0, false},
           {1, 130, 4, 1, 16, 16, 0, 0, true},
           {1, 150, 2, 2, 20, 20, 33, 0, false},
           {2, 65, 3, 3, 7, 9, 0, 5.0, false},
           {1, 200, 4, 2, 64, 64, 70, 10.0, true, 0.25},
           {2, 150, 6, 2, 12, 12, 0, 0, false, 0.5},
           {1, 150, 2, 1, 80, 72, 40, 0, false},
           {1, 80, 2, 2, 16, 128, 0, 0, true, 0.1},
           {1, 70, 2, 1, 256, 160, 0, 20.0, true},
           {1, 17, 1, 1, 264, 8, 0, 0, false},
       })
    for (bool narrow : {false, true})
      checkAttention(c, GetParam(), /*rounds=*/true, narrow);
}

INSTANTIATE_TEST_SUITE_P(Machines, SelfAttentionInParts,
                         testing::Values(Machine(gpu::Architecture::Sm80), Machine(gpu::Architecture::Sm90)),
                         [](const auto &info) { return info.param.name(); });
INSTANTIATE_TEST_SUITE_P(Machines, SelfAttention, testing::ValuesIn(everyMachine),
                         [](const auto &info) { return info.param.name(); });

} // namespace
} // namespace sinter::test
