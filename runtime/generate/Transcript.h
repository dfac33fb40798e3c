// SPDX-License-Identifier: Apache-2.0
// Shows what the loop generates: text or JSON Lines on standard output, tables of the choices on standard
// error.
#ifndef SINTER_RUNTIME_GENERATE_TRANSCRIPT_H
#define SINTER_RUNTIME_GENERATE_TRANSCRIPT_H

#include "runtime/generate/Commands.h"
#include "runtime/generate/Loop.h"
#include "runtime/generate/Output.h"
#include "runtime/generate/ProbsTable.h"
#include "runtime/generate/TokenJson.h"
#include <string>
#include <vector>

namespace sinter {

/// Sequence 0 is written as it comes; the text of the others after it, one after another, each sequence then
/// ended by a line's end.
class Transcript final : public LoopObserver {
public:
  Transcript(const Setting &setting, const Codec &codec, const Sampler &sampler, Output &out);
  bool onToken(const TokenEvent &event) override;
  bool onText(int sequence, std::string_view text) override;
  void onContextShift(int64_t kept) override;

  /// Writes the sequences that waited.
  void finish();

private:
  const Options &options;
  Output &out;
  TokenJson json;
  ProbsTable table;
  std::vector<std::string> waiting; // text or lines of sequences 1, 2, ...
  std::string line;
};

/// The loop's share of the options and the metadata.
LoopOptions loopOptions(const Setting &setting);

/// Why the text ended, where that is worth a word, on standard error.
void remarkEnding(Ending ending, int64_t capacity);

/// Tokens and seconds, on standard error.
void remarkTimes(const LoopTimes &times);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_TRANSCRIPT_H
