// SPDX-License-Identifier: Apache-2.0
// Chooses the next token from a row of logits: penalties, then filters that each keep the best part of what
// is left, then a draw. Flags and defaults are llama.cpp's.
#ifndef SINTER_RUNTIME_GENERATE_SAMPLER_H
#define SINTER_RUNTIME_GENERATE_SAMPLER_H

#include "runtime/Result.h"
#include "runtime/abi.h"
#include "runtime/generate/Distribution.h"
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sinter {

enum class Filter { Penalties, TopK, TopP, MinP, Temperature };

/// "penalties", "top_k", "top_p", "min_p", "temperature".
const char *filterName(Filter filter);

struct SamplerOptions {
  float temperature = 0.8f; ///< 0: always the best token
  int32_t topK = 40;        ///< 0: off
  float topP = 0.95f;       ///< 1: off
  float minP = 0.05f;       ///< 0: off
  float repeatPenalty = 1.0f;
  int32_t repeatLastN = 64; ///< tokens that penalties look back on; -1: all
  float presencePenalty = 0.0f;
  float frequencyPenalty = 0.0f;
  std::vector<std::pair<int32_t, float>> logitBias; ///< added first; minus infinity forbids
  /// llama.cpp's order: temperature last, so that the filters see the model's own distribution. Hugging
  /// Face's is penalties, temperature, top_k, top_p, min_p.
  std::vector<Filter> order = {Filter::Penalties, Filter::TopK, Filter::TopP, Filter::MinP,
                               Filter::Temperature};
  uint64_t seed = 0;
};

/// Parses "top_k;top_p;temperature" (separators ; or ,).
Result<std::vector<Filter>> parseFilters(std::string_view text);

class Sampler {
public:
  Sampler(SamplerOptions options, int64_t vocabulary);

  /// The token after `history` given its logits (vocabulary). The draw is number `index` of stream `stream`.
  /// Candidates that the filters leave are drawn from in the order of their ids: a rounding of logits that
  /// swaps two of them moves no other. Does not allocate. Fails when a logit is NaN or none is above minus
  /// infinity.
  Result<int32_t> sample(std::span<const float> logits, std::span<const int32_t> history, uint64_t stream,
                         uint64_t index);

  /// What a device needs to draw the very token that sample() draws from the same logits (from row 0 of
  /// them) once these are adjusted.
  sinter_sampling forDevice(uint64_t stream, uint64_t index) const;
  /// Adds what bias and penalties change after `history`, each token once, to `to`; returns how many.
  uint32_t adjustmentsForDevice(std::span<const int32_t> history, std::vector<sinter_adjustment> &to);
  /// The most that these are. Nothing where that depends on the history's length, or bias names a token
  /// twice.
  std::optional<int64_t> mostAdjustments() const;

  /// What the latest sample() did to token `id`: null when it could be drawn, else the filter that dropped
  /// it.
  const char *droppedBy(int32_t id) const;
  /// The probability that the latest sample() gave token `id`, after penalties, filters and temperature.
  double drawProbability(int32_t id) const;

  void setOptions(SamplerOptions options) { settings = std::move(options); }

private:
  struct Cut { // `filter` kept what is at least as good as `last`
    Filter filter;
    Candidate last;
  };

  bool uses(Filter filter) const;
  bool penalises() const;
  /// The end of `history` that penalties look back on.
  std::span<const int32_t> window(std::span<const int32_t> history) const;
  void applyPenalties(std::span<const int32_t> history);
  void applyFilter(Filter filter);
  void keepTopK(int64_t k);
  void keepTopP(float p);
  void keepMinP(float p);
  void gather(float atLeast);
  void sortTo(size_t count);
  void cut(Filter filter, size_t count);
  uint64_t weight(float logit) const { return weightOf(logit, largest, scale); }
  uint64_t totalWeight() const;
  int32_t draw(uint64_t random);

  SamplerOptions settings;
  std::vector<float> changed;   // (vocabulary) logits after bias and penalties
  std::vector<int32_t> counts;  // (vocabulary) occurrences within the window; zero between calls
  std::vector<uint64_t> blocks; // sums of draw()
  std::vector<Candidate> bag;   // candidates still in, of capacity vocabulary
  std::vector<Cut> cuts;
  std::span<const float> current; // logits of this call, the model's or `changed`
  bool all = true;                // every token is still in; `bag` is not filled
  size_t sorted = 0;              // so many of `bag` are in order and better than the rest
  float largest = 0, scale = 1;
  uint64_t total = 0; // of the weights that the draw saw
};

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_SAMPLER_H
