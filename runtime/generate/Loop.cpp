// SPDX-License-Identifier: Apache-2.0
// Prefill once, copy the cache to the other sequences, then decode all of them step by step.
#include "runtime/generate/Loop.h"
#include <algorithm>
#include <cassert>
#include <chrono>

namespace sinter {

namespace {
using Clock = std::chrono::steady_clock;
double secondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}
} // namespace

Loop::Loop(Engine &engine, const Codec &codec, Sampler &sampler, LoopOptions given)
    : engine(engine), codec(codec), sampler(sampler), options(std::move(given)) {
  for (int i = 0; i < options.samples; ++i)
    sequences.push_back({i, {}, {}, 0, nullptr, StopStrings(options.stopStrings)});
  for (Sequence &sequence : sequences) {
    sequence.tokens.reserve(size_t(engine.capacity()) + 1);
    sequence.history.reserve(size_t(engine.capacity()) + 1);
  }
  active.reserve(sequences.size());
  tokens.reserve(sequences.size());
  positions.reserve(sequences.size());
  slots.reserve(sequences.size());
  plans.reserve(sequences.size());
  const std::optional<int64_t> adjusted = sampler.mostAdjustments();
  onDevice = engine.draws() && !options.logits && adjusted &&
             *adjusted * int64_t(sequences.size()) <= engine.maxAdjustments();
  if (onDevice)
    adjustments.reserve(size_t(*adjusted) * sequences.size());
  piece.reserve(4096);
  shown.reserve(4096);
}

/// Sets every sequence to the prompt; sequence 0 keeps what its cache has of it.
void Loop::begin(std::span<const int32_t> prompt) {
  Sequence &first = sequences[0];
  const size_t most = std::min(first.evaluated, prompt.size() - 1); // the last one's logits are needed
  first.evaluated =
      size_t(std::mismatch(prompt.begin(), prompt.begin() + ptrdiff_t(most), first.tokens.begin()).first -
             prompt.begin());
  for (Sequence &sequence : sequences) {
    sequence.tokens.assign(prompt.begin(), prompt.end());
    sequence.history = sequence.tokens;
    sequence.stream = codec.stream(options.special);
    sequence.stops = StopStrings(options.stopStrings);
    sequence.generated = 0;
    sequence.done = false;
    piece.clear();
    for (int32_t token : prompt) // so that the text goes on after the prompt's, not at a text's beginning
      sequence.stream->push(token, piece);
  }
}

Result<Ending> Loop::run(std::span<const int32_t> prompt, LoopObserver &observer,
                         const std::atomic<bool> &flag) {
  interrupt = &flag;
  assert(!prompt.empty() && int64_t(prompt.size()) <= engine.capacity());
  const auto promptBegin = Clock::now();
  begin(prompt);
  Sequence &first = sequences[0];
  const Result<Next> next =
      prefill(sequences, prompt.subspan(first.evaluated), int64_t(first.evaluated), &timing.promptTokens);
  if (!next)
    return tl::unexpected(next.error());
  if (next->tokens.empty() &&
      next->logits.empty()) { // what the cache got of this prompt is evaluated anew next time
    timing.promptSeconds += secondsSince(promptBegin);
    for (Sequence &sequence : sequences)
      finish(sequence, Ending::Interrupted, observer);
    return Ending::Interrupted;
  }
  timing.reusedTokens += int64_t(first.evaluated);
  for (Sequence &sequence : sequences) {
    sequence.evaluated = prompt.size();
    if (sequence.index == 0)
      continue;
    if (Result<void> copied = engine.copyPrefix(0, sequence.index, int64_t(prompt.size())); !copied)
      return tl::unexpected(copied.error());
  }
  timing.promptSeconds += secondsSince(promptBegin);

  const auto decodeBegin = Clock::now();
  for (Sequence &sequence : sequences) {
    if (options.limit == 0)
      finish(sequence, Ending::Limit, observer);
    else if (!next->logits.empty()) {
      if (Result<void> chosen = choose(sequence, next->logits, observer); !chosen)
        return tl::unexpected(chosen.error());
    } else {
      take(sequence, next->tokens[size_t(sequence.index)], {}, observer);
    }
  }
  while (!std::all_of(sequences.begin(), sequences.end(), [](const Sequence &each) { return each.done; })) {
    if (interrupt->load(std::memory_order_relaxed)) {
      for (Sequence &sequence : sequences)
        if (!sequence.done)
          finish(sequence, Ending::Interrupted, observer);
      break;
    }
    if (Result<void> stepped = decodeStep(observer); !stepped)
      return tl::unexpected(stepped.error());
  }
  timing.decodeSeconds += secondsSince(decodeBegin);
  return first.ending;
}

/// Evaluates tokens in the slot of the first of `who`, for all of which tokens are to be chosen then.
Result<Loop::Next> Loop::prefill(std::span<Sequence> who, std::span<const int32_t> given, int64_t at,
                                 int64_t *evaluated) {
  if (!onDevice)
    return engine.prefill(who.front().index, given, at, interrupt, evaluated)
        .map([](std::span<const float> logits) { return Next{{}, logits}; });
  plans.clear();
  adjustments.clear();
  for (const Sequence &each : who)
    plans.push_back(sampler.forDevice(uint64_t(each.index), each.draws));
  // They share the row of logits, and their history so far.
  plans.front().adjustment_count = sampler.adjustmentsForDevice(who.front().history, adjustments);
  return engine.prefillAndDraw(who.front().index, given, at, plans, adjustments, interrupt, evaluated);
}

/// Evaluates the newest token of every sequence that goes on, and chooses the next.
Result<void> Loop::decodeStep(LoopObserver &observer) {
  active.clear();
  tokens.clear();
  positions.clear();
  slots.clear();
  for (Sequence &sequence : sequences) {
    if (sequence.done)
      continue;
    if (int64_t(sequence.evaluated) == engine.capacity()) {
      if (Result<void> shifted = shift(sequence, observer); !shifted)
        return shifted;
      continue;
    }
    active.push_back(&sequence);
    tokens.push_back(sequence.tokens.back());
    positions.push_back(int32_t(sequence.evaluated));
    slots.push_back(sequence.index);
  }
  if (active.empty())
    return {};
  Result<void> result, evaluated;
  if (onDevice) {
    plans.clear();
    adjustments.clear();
    for (const Sequence *each : active) {
      plans.push_back(sampler.forDevice(uint64_t(each->index), each->draws));
      plans.back().adjustment_count = sampler.adjustmentsForDevice(each->history, adjustments);
    }
    evaluated =
        engine.decodeAndDraw(tokens, positions, slots, plans, adjustments,
                             [&](size_t row, int32_t token, std::span<const float> logits) {
                               Sequence &sequence = *active[row];
                               ++sequence.evaluated;
                               if (!logits.empty() && result) // the sampler says what is wrong with them
                                 result = choose(sequence, logits, observer);
                               else if (result)
                                 take(sequence, token, {}, observer);
                             });
  } else {
    evaluated = engine.decode(tokens, positions, slots, [&](size_t row, std::span<const float> logits) {
      Sequence &sequence = *active[row];
      ++sequence.evaluated;
      if (result)
        result = choose(sequence, logits, observer);
    });
  }
  timing.decodedTokens += int64_t(active.size());
  return evaluated ? result : evaluated;
}

/// Draws the next token of a sequence.
Result<void> Loop::choose(Sequence &sequence, std::span<const float> logits, LoopObserver &observer) {
  const Result<int32_t> token =
      sampler.sample(logits, sequence.history, uint64_t(sequence.index), sequence.draws);
  if (!token)
    return tl::unexpected(token.error());
  take(sequence, *token, logits, observer);
  return {};
}

/// Adds the drawn token to a sequence and gives out its text.
void Loop::take(Sequence &sequence, int32_t token, std::span<const float> logits, LoopObserver &observer) {
  ++sequence.draws;
  ++sequence.generated;
  ++timing.generatedTokens;
  sequence.tokens.push_back(token);
  sequence.history.push_back(token);
  const bool isEnd =
      std::find(options.endTokens.begin(), options.endTokens.end(), token) != options.endTokens.end();
  if (!observer.onToken({sequence.index, token, isEnd, logits}))
    return finish(sequence, Ending::OutputClosed, observer);
  if (isEnd && !options.special)
    return finish(sequence, Ending::EndToken, observer);
  piece.clear();
  shown.clear();
  sequence.stream->push(token, piece);
  const bool stopped = sequence.stops.push(piece, shown);
  if (!shown.empty() && !observer.onText(sequence.index, shown)) {
    finish(sequence, Ending::OutputClosed, observer);
  } else if (stopped) {
    sequence.done = true; // what is left of the text belongs to the stop string
    sequence.ending = Ending::StopString;
  } else if (isEnd) {
    finish(sequence, Ending::EndToken, observer);
  } else if (options.limit >= 0 && sequence.generated >= options.limit) {
    finish(sequence, Ending::Limit, observer);
  }
}

/// Ends a sequence and gives out the text that was held back.
void Loop::finish(Sequence &sequence, Ending ending, LoopObserver &observer) {
  sequence.done = true;
  sequence.ending = ending;
  if (ending == Ending::OutputClosed)
    return;
  piece.clear();
  shown.clear();
  sequence.stream->flush(piece);
  if (!sequence.stops.push(piece, shown))
    sequence.stops.flush(shown);
  if (!shown.empty() && !observer.onText(sequence.index, shown))
    sequence.ending = Ending::OutputClosed;
}

/// The context is full: ends the sequence, or evaluates the latest half of it anew from position 0.
Result<void> Loop::shift(Sequence &sequence, LoopObserver &observer) {
  const size_t half = size_t(engine.capacity()) / 2;
  if (!options.contextShift || engine.capacity() < leastShiftedContext) {
    finish(sequence, Ending::ContextFull, observer);
    return {};
  }
  std::vector<int32_t> &all = sequence.tokens;
  const size_t keep = options.bos && all[0] == *options.bos ? 1 : 0;
  all.erase(all.begin() + ptrdiff_t(keep), all.end() - ptrdiff_t(half - keep));
  observer.onContextShift(int64_t(all.size()));
  sequence.evaluated = 0;
  const Result<Next> next = prefill({&sequence, 1}, all, 0);
  if (!next)
    return tl::unexpected(next.error());
  if (next->tokens.empty() && next->logits.empty()) {
    finish(sequence, Ending::Interrupted, observer);
    return {};
  }
  sequence.evaluated = all.size();
  if (!next->logits.empty())
    return choose(sequence, next->logits, observer);
  take(sequence, next->tokens.front(), {}, observer);
  return {};
}

} // namespace sinter
