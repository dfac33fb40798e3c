// SPDX-License-Identifier: Apache-2.0
// Explains a choice: the best candidates, their probabilities, which filter dropped which, which one was
// drawn.
#ifndef SINTER_RUNTIME_GENERATE_PROBSTABLE_H
#define SINTER_RUNTIME_GENERATE_PROBSTABLE_H

#include "runtime/generate/Codec.h"
#include "runtime/generate/Loop.h"
#include "runtime/generate/Sampler.h"
#include <string>
#include <vector>

namespace sinter {

class ProbsTable {
public:
  ProbsTable(const Codec &codec, const Sampler &sampler, int64_t rows, int samples)
      : codec(codec), sampler(sampler), rows(rows), drawn(size_t(samples)) {}

  /// Appends the table of the sampler's latest choice; the drawn token has a row even when it is not among
  /// the best.
  void append(const TokenEvent &event, std::string &out);

private:
  const Codec &codec;
  const Sampler &sampler;
  const int64_t rows;
  std::vector<int64_t> drawn; ///< tokens of each sequence
  std::vector<Candidate> best;
};

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_PROBSTABLE_H
