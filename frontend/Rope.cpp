// SPDX-License-Identifier: Apache-2.0
// The formulas of transformers' modeling_rope_utils.py, in its order of f32 operations.
#include "frontend/Rope.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <numbers>

namespace sinter {
namespace {

/// theta^(2i / columns) for each pair of columns.
std::vector<float> periods(const RopeParameters &p) {
  std::vector<float> result;
  for (int64_t column = 0; column < p.columns; column += 2) {
    float exponent = static_cast<float>(column) / static_cast<float>(p.columns);
    result.push_back(
        static_cast<float>(std::pow(static_cast<double>(static_cast<float>(p.theta)), exponent)));
  }
  return result;
}

/// YaRN, Peng et al. 2023, arXiv:2309.00071: low frequencies are interpolated, high ones kept, a ramp
/// between.
std::vector<float> yarnFrequencies(const RopeParameters &p, double factor) {
  auto correction = [&](double rotations) {
    return p.columns * std::log(p.originalContext / (rotations * 2 * std::numbers::pi)) /
           (2 * std::log(p.theta));
  };
  double low = correction(p.betaFast.value_or(0) != 0 ? *p.betaFast : 32);
  double high = correction(p.betaSlow.value_or(0) != 0 ? *p.betaSlow : 1);
  if (p.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(p.columns - 1));
  if (low == high)
    high += 0.001;
  std::vector<float> result;
  for (float period : periods(p)) {
    float extrapolated = 1.0f / period, interpolated = 1.0f / (static_cast<float>(factor) * period);
    float ramp =
        (static_cast<float>(result.size()) - static_cast<float>(low)) / static_cast<float>(high - low);
    float kept = 1.0f - std::clamp(ramp, 0.0f, 1.0f);
    result.push_back(interpolated * (1.0f - kept) + extrapolated * kept);
  }
  return result;
}

double yarnAttentionFactor(const RopeParameters &p, double factor) {
  auto mscale = [&](double weight) { return factor <= 1 ? 1.0 : 0.1 * weight * std::log(factor) + 1; };
  if (p.attentionFactor)
    return *p.attentionFactor;
  bool both = p.mscale.value_or(0) != 0 && p.mscaleAllDim.value_or(0) != 0;
  return both ? mscale(*p.mscale) / mscale(*p.mscaleAllDim) : mscale(1);
}

/// Llama 3.1: long waves are stretched, short ones kept, a smooth step between.
float llama3Frequency(const RopeParameters &p, float frequency) {
  float factor = static_cast<float>(*p.factor), low = static_cast<float>(p.lowFrequencyFactor);
  double original = static_cast<double>(p.originalContext);
  float wave = static_cast<float>(2 * std::numbers::pi) / frequency;
  if (wave > static_cast<float>(original / p.lowFrequencyFactor))
    return frequency / factor;
  if (wave < static_cast<float>(original / p.highFrequencyFactor))
    return frequency;
  float width = static_cast<float>(p.highFrequencyFactor - p.lowFrequencyFactor);
  float smooth = (static_cast<float>(original) / wave - low) / width;
  return (1.0f - smooth) * frequency / factor + smooth * frequency;
}

} // namespace

Rope makeRope(const RopeParameters &p) {
  assert(p.columns > 0 && p.columns % 2 == 0 && "readers check the number of columns");
  Rope rope;
  for (float period : periods(p))
    rope.frequencies.push_back(1.0f / period);
  if (p.type == "linear") {
    for (float &frequency : rope.frequencies)
      frequency /= static_cast<float>(*p.factor);
  } else if (p.type == "dynamic") {
    rope.dynamic = {p.theta, *p.factor, p.contextLength};
  } else if (p.type == "llama3") {
    for (float &frequency : rope.frequencies)
      frequency = llama3Frequency(p, frequency);
  } else if (p.type == "yarn") {
    double factor = p.factor ? *p.factor : static_cast<double>(p.contextLength) / p.originalContext;
    rope.frequencies = yarnFrequencies(p, factor);
    rope.factor = yarnAttentionFactor(p, factor);
  } else if (p.type == "longrope") {
    double factor = p.factor ? *p.factor : static_cast<double>(p.contextLength) / p.originalContext;
    std::vector<float> all = periods(p);
    for (size_t i = 0; i < all.size(); ++i) {
      rope.frequencies[i] = 1.0f / (static_cast<float>(p.shortFactors[i]) * all[i]);
      rope.longFrequencies.push_back(1.0f / (static_cast<float>(p.longFactors[i]) * all[i]));
    }
    rope.longFrom = p.originalContext;
    rope.factor = p.attentionFactor ? *p.attentionFactor
                  : factor <= 1     ? 1.0
                                    : std::sqrt(1 + std::log(factor) / std::log(p.originalContext));
  } else {
    assert(p.type == "default" && "readers check the type");
  }
  return rope;
}

void divideFrequencies(Rope &rope, std::span<const float> factors) {
  assert(factors.size() == rope.frequencies.size() && "readers check the number of factors");
  for (size_t i = 0; i < factors.size(); ++i)
    rope.frequencies[i] /= factors[i];
}

} // namespace sinter
