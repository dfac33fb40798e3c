// SPDX-License-Identifier: Apache-2.0
// One generated token as a line of JSON.
#ifndef SINTER_RUNTIME_GENERATE_TOKENJSON_H
#define SINTER_RUNTIME_GENERATE_TOKENJSON_H

#include "runtime/generate/Codec.h"
#include "runtime/generate/Loop.h"
#include <string>
#include <vector>

namespace sinter {

class TokenJson {
public:
  /// `top` candidates a token; with `numbered` each line names its sequence.
  TokenJson(const Codec &codec, int64_t top, bool numbered) : codec(codec), top(top), numbered(numbered) {}

  /// Appends {"token","text","bytes","logprob","top_logprobs"} and a line's end. Log-probabilities are those
  /// of the unmodified distribution, in as many digits as read back to the same number.
  void append(const TokenEvent &event, std::string &out);

private:
  void appendToken(int32_t id, double logprob, std::string &out) const;

  const Codec &codec;
  const int64_t top;
  const bool numbered;
  std::vector<Candidate> best;
};

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_TOKENJSON_H
