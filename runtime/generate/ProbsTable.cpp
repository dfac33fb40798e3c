// SPDX-License-Identifier: Apache-2.0
// The table of --probs.
#include "runtime/generate/ProbsTable.h"
#include "runtime/files/JsonWriter.h"
#include "runtime/files/Utf8.h"
#include <algorithm>
#include <cmath>
#include <iterator>

namespace sinter {

void ProbsTable::append(const TokenEvent &event, std::string &out) {
  constexpr int width = 24; // of the bar
  const double norm = logSumExp(event.logits);
  selectBest(event.logits, rows, best);
  const auto isDrawn = [&](const Candidate &each) { return each.id == event.token; };
  if (std::none_of(best.begin(), best.end(), isDrawn))
    best.push_back({event.logits[size_t(event.token)], event.token});
  out += drawn.size() > 1 ? fmt::format("\nsequence {}, ", event.sequence) : "\n";
  fmt::format_to(std::back_inserter(out), "token {}\n{:>8}  {:<20} {:>9} {:>9}  {:<{}}  {}\n",
                 ++drawn[size_t(event.sequence)], "id", "candidate", "model", "sampler", "", width, "kept");
  for (const Candidate &each : best) {
    const double probability = std::exp(double(each.logit) - norm);
    const int filled = std::clamp(int(std::lround(probability * width)), 0, width);
    std::string bar;
    for (int i = 0; i < width; ++i)
      bar += i < filled ? "█" : " ";
    std::string text;
    appendJsonString(text, repairUtf8(codec.tokenBytes(each.id)));
    const char *dropped = sampler.droppedBy(each.id);
    const std::string fate = dropped         ? fmt::format("no: {}", dropped)
                             : isDrawn(each) ? "yes  <- drawn"
                                             : "yes";
    fmt::format_to(std::back_inserter(out), "{:>8}  {:<20} {:>8.3f}% {:>8.3f}%  {}  {}\n", each.id, text,
                   probability * 100, sampler.drawProbability(each.id) * 100, bar, fate);
  }
}

} // namespace sinter
