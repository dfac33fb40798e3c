// SPDX-License-Identifier: Apache-2.0
// The generation loop: a prompt goes in, one token after another comes out, for one sequence or several at
// once.
#ifndef SINTER_RUNTIME_GENERATE_LOOP_H
#define SINTER_RUNTIME_GENERATE_LOOP_H

#include "runtime/Result.h"
#include "runtime/generate/Codec.h"
#include "runtime/generate/Engine.h"
#include "runtime/generate/Sampler.h"
#include "runtime/generate/StopStrings.h"
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace sinter {

/// A smaller context has no half that a begin token leaves room in.
constexpr int64_t leastShiftedContext = 4;

struct LoopOptions {
  int64_t limit = -1; ///< tokens to generate; -1: until something else ends the text
  int samples = 1;    ///< continuations of one prompt, computed together
  std::vector<int32_t> endTokens;
  std::vector<std::string> stopStrings;
  bool contextShift = false;  ///< at the context's end go on with its latest half
  bool special = false;       ///< special tokens appear in the text
  std::optional<int32_t> bos; ///< kept in front when the context shifts
  bool logits = false;        ///< the observer needs them: tokens are drawn on the host
};

enum class Ending { EndToken, Limit, StopString, ContextFull, Interrupted, OutputClosed };

/// One drawn token, as the observer sees it; `logits` are the model's own, and none where the device drew the
/// token.
struct TokenEvent {
  int sequence;
  int32_t token;
  bool isEnd;
  std::span<const float> logits;
};

/// Gets tokens and text as they come. Text is whole characters, without stop strings. Returning false ends
/// the sequence.
class LoopObserver {
public:
  virtual ~LoopObserver() = default;
  virtual bool onToken(const TokenEvent &event) = 0;
  virtual bool onText(int sequence, std::string_view text) = 0;
  virtual void onContextShift(int64_t kept) = 0;
};

struct LoopTimes {
  int64_t promptTokens = 0, reusedTokens = 0, generatedTokens = 0, decodedTokens = 0;
  double promptSeconds = 0, decodeSeconds = 0;
};

class Loop {
public:
  Loop(Engine &engine, const Codec &codec, Sampler &sampler, LoopOptions options);

  /// Continues `prompt` (at least one token, no more than the engine's capacity). What the cache holds of it
  /// from an earlier run is not computed again. `interrupt` set by a signal handler ends the run: after the
  /// chunk of the prompt at work, or the token. Fails when a logit is not a number. Returns why sequence 0
  /// ended.
  Result<Ending> run(std::span<const int32_t> prompt, LoopObserver &observer,
                     const std::atomic<bool> &interrupt);

  const LoopTimes &times() const { return timing; } ///< summed over all runs

private:
  struct Sequence {
    int index;
    std::vector<int32_t> tokens;  // prompt and what was drawn, of them what fits the context
    std::vector<int32_t> history; // all of them, for penalties
    size_t evaluated = 0;         // of `tokens` in the cache
    std::unique_ptr<TextStream> stream;
    StopStrings stops;
    uint64_t draws = 0; // counts over all runs: the draw's number in its stream
    int64_t generated = 0;
    bool done = false;
    Ending ending = Ending::Limit;
  };

  /// What the next tokens of sequences are chosen from: tokens that the device has drawn, in their order, or
  /// logits for all of them. Neither: the run was interrupted.
  using Next = Engine::Drawn;

  void begin(std::span<const int32_t> prompt);
  Result<Next> prefill(std::span<Sequence> sequences, std::span<const int32_t> tokens, int64_t at,
                       int64_t *evaluated = nullptr);
  Result<void> choose(Sequence &sequence, std::span<const float> logits, LoopObserver &observer);
  void take(Sequence &sequence, int32_t token, std::span<const float> logits, LoopObserver &observer);
  void finish(Sequence &sequence, Ending ending, LoopObserver &observer);
  Result<void> shift(Sequence &sequence, LoopObserver &observer);
  Result<void> decodeStep(LoopObserver &observer);

  Engine &engine;
  const Codec &codec;
  Sampler &sampler;
  const LoopOptions options;
  std::vector<Sequence> sequences;
  std::vector<Sequence *> active;
  std::vector<int32_t> tokens, positions, slots; // of a decode step
  std::vector<sinter_sampling> plans;            // of draws on the device
  std::vector<sinter_adjustment> adjustments;    // of logits before these
  bool onDevice = false;                         // it draws the tokens
  std::string piece, shown;
  LoopTimes timing;
  const std::atomic<bool> *interrupt = nullptr; // of the run at work
};

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_LOOP_H
