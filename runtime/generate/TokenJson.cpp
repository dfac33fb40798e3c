// SPDX-License-Identifier: Apache-2.0
// Writes JSON by hand: the keys are fixed and the numbers many.
#include "runtime/generate/TokenJson.h"
#include "runtime/files/JsonWriter.h"
#include "runtime/files/Utf8.h"
#include <cmath>
#include <iterator>

namespace sinter {

/// The members of one token, without braces.
void TokenJson::appendToken(int32_t id, double logprob, std::string &out) const {
  const std::string bytes = codec.tokenBytes(id);
  fmt::format_to(std::back_inserter(out), "\"token\":{},\"text\":", id);
  appendJsonString(out, repairUtf8(bytes));
  out += ",\"bytes\":[";
  for (size_t i = 0; i < bytes.size(); ++i)
    fmt::format_to(std::back_inserter(out), "{}{}", i ? "," : "", int(uint8_t(bytes[i])));
  if (std::isfinite(logprob))
    fmt::format_to(std::back_inserter(out), "],\"logprob\":{}", logprob);
  else
    out += "],\"logprob\":null"; // JSON has no infinity
}

void TokenJson::append(const TokenEvent &event, std::string &out) {
  const double norm = logSumExp(event.logits);
  out += '{';
  if (numbered)
    fmt::format_to(std::back_inserter(out), "\"sequence\":{},", event.sequence);
  appendToken(event.token, double(event.logits[size_t(event.token)]) - norm, out);
  out += ",\"top_logprobs\":[";
  selectBest(event.logits, top, best);
  for (size_t i = 0; i < best.size(); ++i) {
    out += i ? ",{" : "{";
    appendToken(best[i].id, double(best[i].logit) - norm, out);
    out += '}';
  }
  out += "]}\n";
}

} // namespace sinter
