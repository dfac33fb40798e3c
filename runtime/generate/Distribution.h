// SPDX-License-Identifier: Apache-2.0
// What a row of logits says: its largest, its normaliser, its best tokens. Loops that the compiler
// vectorises, sums in a fixed order.
#ifndef SINTER_RUNTIME_GENERATE_DISTRIBUTION_H
#define SINTER_RUNTIME_GENERATE_DISTRIBUTION_H

#include <cstdint>
#include <span>
#include <vector>

namespace sinter {

struct Candidate {
  float logit;
  int32_t id;
};

/// The order of candidates everywhere: larger logit first, of equals the smaller id.
inline bool better(const Candidate &a, const Candidate &b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

struct Peak {
  float largest; ///< of the numbers; -infinity when there is none
  int64_t nans;
};
Peak findPeak(std::span<const float> logits);

/// The smallest id among those of the largest logit.
int32_t argmax(std::span<const float> logits);

/// exp((logit - largest) * scale) * 2^44, rounded down (relative error before that below 1e-6): weights are
/// integers so that their sums are exact, the same in any order and on every device. See
/// struct sinter_sampling.
uint64_t weightOf(float logit, float largest, float scale);
uint64_t sumWeights(std::span<const float> logits, float largest, float scale);

/// Each block of `weightBlock` logits' share of that sum, into `blocks` (ceil(logits / weightBlock)).
inline constexpr int64_t weightBlock = 256;
void sumWeightBlocks(std::span<const float> logits, float largest, float scale, std::span<uint64_t> blocks);

/// log(sum of exp(logit)): the log-probability of a token is its logit minus this.
double logSumExp(std::span<const float> logits);

/// The `count` best candidates, best first, into `out` (resized to `count`, at most the number of logits).
/// Does not allocate when `out` has the capacity.
void selectBest(std::span<const float> logits, int64_t count, std::vector<Candidate> &out);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_DISTRIBUTION_H
