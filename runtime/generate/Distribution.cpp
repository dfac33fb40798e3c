// SPDX-License-Identifier: Apache-2.0
// Reductions over a row of logits in sixteen lanes.
#include "runtime/generate/Distribution.h"
#include "runtime/abi.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace sinter {

namespace {

constexpr int64_t lanes = 16;
constexpr float infinity = std::numeric_limits<float>::infinity();

/// e^x for x <= 0 within 2 units in the last place; 0 below -87. Cody-Waite reduction by ln 2 in two parts,
/// then the Taylor polynomial of degree 7 on [-ln2/2, ln2/2]. The very operations of
/// passes/lowering/gpu/Sample.cpp, so that both give the same bits: change them together.
inline float expNegative(float x) {
  constexpr float toInteger = 12582912.0f; // 1.5 * 2^23: adding it rounds to an integer
  const float clamped = x < -87.0f ? -87.0f : x;
  const float shifted = std::fma(clamped, 1.44269504f, toInteger);
  const float n = shifted - toInteger;
  const float r = std::fma(n, 2.12194440e-4f, std::fma(n, -0.693359375f, clamped));
  float p = 1.0f / 5040;
  p = std::fma(p, r, 1.0f / 720);
  p = std::fma(p, r, 1.0f / 120);
  p = std::fma(p, r, 1.0f / 24);
  p = std::fma(p, r, 1.0f / 6);
  p = std::fma(p, r, 0.5f);
  p = std::fma(p, r, 1.0f);
  p = std::fma(p, r, 1.0f);
  const float power = std::bit_cast<float>((std::bit_cast<int32_t>(shifted) + (127 - 0x4B400000)) << 23);
  return x < -87.0f ? 0.0f : p * power;
}

static_assert(SINTER_WEIGHT_BITS == 44, "twice 22 bits");

/// Of at most weightBlock logits: sums of the upper and lower 22 bits of weights fit 32 bits.
uint64_t sumShort(const float *logits, int64_t count, float largest, float scale) {
  int32_t high[lanes] = {}, low[lanes] = {};
  const int64_t whole = count / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const float weight = expNegative((logits[i + lane] - largest) * scale) * 0x1p22f;
      const int32_t upper = int32_t(weight);
      high[lane] += upper;
      low[lane] += int32_t((weight - float(upper)) * 0x1p22f);
    }
  uint64_t total = 0;
  for (int64_t lane = 0; lane < lanes; ++lane)
    total += (uint64_t(high[lane]) << 22) + uint64_t(low[lane]);
  for (int64_t i = whole; i < count; ++i)
    total += weightOf(logits[i], largest, scale);
  return total;
}

} // namespace

Peak findPeak(std::span<const float> logits) {
  float best[lanes];
  int32_t nans[lanes] = {};
  std::fill_n(best, lanes, -infinity);
  const int64_t count = int64_t(logits.size()), whole = count / lanes * lanes;
  for (int64_t i = 0; i < whole; i += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane) {
      const float x = logits[size_t(i + lane)];
      best[lane] = x > best[lane] ? x : best[lane];
      nans[lane] += x != x;
    }
  Peak peak{-infinity, 0};
  for (int64_t lane = 0; lane < lanes; ++lane) {
    peak.largest = std::max(peak.largest, best[lane]);
    peak.nans += nans[lane];
  }
  for (int64_t i = whole; i < count; ++i) {
    const float x = logits[size_t(i)];
    peak.largest = x > peak.largest ? x : peak.largest;
    peak.nans += x != x;
  }
  return peak;
}

int32_t argmax(std::span<const float> logits) {
  const float largest = findPeak(logits).largest;
  return int32_t(std::find(logits.begin(), logits.end(), largest) - logits.begin());
}

uint64_t weightOf(float logit, float largest, float scale) {
  return uint64_t(expNegative((logit - largest) * scale) * 0x1p44f);
}

uint64_t sumWeights(std::span<const float> logits, float largest, float scale) {
  uint64_t total = 0;
  for (size_t i = 0; i < logits.size(); i += size_t(weightBlock))
    total += sumShort(&logits[i], std::min<int64_t>(weightBlock, int64_t(logits.size() - i)), largest, scale);
  return total;
}

void sumWeightBlocks(std::span<const float> logits, float largest, float scale, std::span<uint64_t> blocks) {
  for (size_t i = 0, block = 0; i < logits.size(); i += size_t(weightBlock), ++block)
    blocks[block] =
        sumShort(&logits[i], std::min<int64_t>(weightBlock, int64_t(logits.size() - i)), largest, scale);
}

double logSumExp(std::span<const float> logits) {
  const auto [largest, nans] = findPeak(logits);
  if (nans > 0)
    return std::numeric_limits<double>::quiet_NaN();
  if (!std::isfinite(largest))
    return largest;
  return double(largest) + std::log(double(sumWeights(logits, largest, 1.0f)) * 0x1p-44);
}

void selectBest(std::span<const float> logits, int64_t count, std::vector<Candidate> &out) {
  const int64_t all = int64_t(logits.size());
  count = std::min(count, all);
  out.clear();
  if (count > 1024 || count * 8 > all) {
    out.resize(size_t(all));
    for (int64_t i = 0; i < all; ++i)
      out[size_t(i)] = {logits[size_t(i)], int32_t(i)};
    std::partial_sort(out.begin(), out.begin() + count, out.end(), better);
    out.resize(size_t(count));
    return;
  }
  // A heap of the best so far, its worst on top; blocks without anything above that are passed over.
  int64_t i = 0;
  for (; i < count; ++i)
    out.push_back({logits[size_t(i)], int32_t(i)});
  std::make_heap(out.begin(), out.end(), better);
  constexpr int64_t block = 64;
  while (count > 0 && i < all) {
    const int64_t end = std::min(i + block, all);
    const float bar = out.front().logit;
    int any = 0;
    for (int64_t j = i; j < end; ++j)
      any |= logits[size_t(j)] > bar;
    if (any)
      for (int64_t j = i; j < end; ++j)
        if (logits[size_t(j)] > out.front().logit) { // of equals the earlier id stays
          std::pop_heap(out.begin(), out.end(), better);
          out.back() = {logits[size_t(j)], int32_t(j)};
          std::push_heap(out.begin(), out.end(), better);
        }
    i = end;
  }
  std::sort_heap(out.begin(), out.end(), better);
}

} // namespace sinter
