// SPDX-License-Identifier: Apache-2.0
// The step has no cache: each token is a pass over its sequence, which is the first of a batch.
#include "runtime/training/SampleText.h"
#include "runtime/generate/Sampler.h"

#include <algorithm>
#include <cassert>

namespace sinter::training {

Result<std::string> sampleText(TrainingStep &step, const Tokenizer &tokenizer, const std::string &prompt,
                               int64_t tokens, uint64_t seed) {
  const StepShape &shape = step.shape();
  std::vector<int32_t> ids = tokenizer.encode(prompt);
  if (ids.empty()) // a document follows the end of another
    ids.push_back(std::max(tokenizer.bos() >= 0 ? tokenizer.bos() : tokenizer.eos(), 0));
  if (int64_t(ids.size()) >= shape.length)
    return fail("--sample-prompt: expected less than {} tokens, the length of a sequence, found {}",
                shape.length, ids.size());
  MicroBatch batch;
  batch.tokens.assign(size_t(shape.rows()), 0);
  batch.targets.assign(size_t(shape.rows()), -1);
  batch.positions.resize(size_t(shape.rows()));
  for (int64_t row = 0; row < shape.rows(); ++row)
    batch.positions[size_t(row)] = int32_t(row % shape.length);
  SamplerOptions options;
  options.seed = seed;
  Sampler sampler(options, shape.vocabulary);
  const size_t room = std::min(size_t(shape.length), ids.size() + size_t(tokens));
  while (ids.size() < room) {
    for (const int32_t id : ids)
      if (id >= shape.vocabulary)
        return fail("--sample-prompt: expected tokens below {}, the model's, found {}", shape.vocabulary, id);
    std::ranges::copy(ids, batch.tokens.begin());
    const Result<const float *> logits = step.logits(batch, int64_t(ids.size()) - 1);
    if (!logits)
      return tl::unexpected(logits.error());
    assert(*logits && "a step with a tokenizer gives logits");
    Result<int32_t> next =
        sampler.sample(std::span(*logits, size_t(shape.vocabulary)), ids, /*stream=*/0, ids.size());
    if (!next)
      return tl::unexpected(next.error());
    if (*next == tokenizer.eos())
      break;
    ids.push_back(*next);
  }
  return tokenizer.decode(ids, /*skipSpecial=*/true);
}

} // namespace sinter::training
