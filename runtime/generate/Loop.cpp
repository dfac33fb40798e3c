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
  const Result<std::span<const float>> logits = engine.prefill(
      0, prompt.subspan(first.evaluated), int64_t(first.evaluated), interrupt, &timing.promptTokens);
  if (!logits)
    return tl::unexpected(logits.error());
  if (logits->empty()) { // what the cache got of this prompt is evaluated anew next time
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
    else if (Result<void> chosen = choose(sequence, *logits, observer); !chosen)
      return tl::unexpected(chosen.error());
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
  Result<void> result;
  const Result<void> evaluated =
      engine.decode(tokens, positions, slots, [&](size_t row, std::span<const float> logits) {
        Sequence &sequence = *active[row];
        ++sequence.evaluated;
        if (result)
          result = choose(sequence, logits, observer);
      });
  timing.decodedTokens += int64_t(active.size());
  return evaluated ? result : evaluated;
}

/// Draws the next token of a sequence and gives out its text.
Result<void> Loop::choose(Sequence &sequence, std::span<const float> logits, LoopObserver &observer) {
  const Result<int32_t> token =
      sampler.sample(logits, sequence.history, uint64_t(sequence.index), sequence.draws++);
  if (!token)
    return tl::unexpected(token.error());
  ++sequence.generated;
  ++timing.generatedTokens;
  sequence.tokens.push_back(*token);
  sequence.history.push_back(*token);
  const bool isEnd =
      std::find(options.endTokens.begin(), options.endTokens.end(), *token) != options.endTokens.end();
  if (!observer.onToken({sequence.index, *token, isEnd, logits})) {
    finish(sequence, Ending::OutputClosed, observer);
    return {};
  }
  if (isEnd && !options.special) {
    finish(sequence, Ending::EndToken, observer);
    return {};
  }
  piece.clear();
  shown.clear();
  sequence.stream->push(*token, piece);
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
  return {};
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
  if (!options.contextShift || half < 2) {
    finish(sequence, Ending::ContextFull, observer);
    return {};
  }
  std::vector<int32_t> &all = sequence.tokens;
  const size_t keep = options.bos && all[0] == *options.bos ? 1 : 0;
  all.erase(all.begin() + ptrdiff_t(keep), all.end() - ptrdiff_t(half - keep));
  observer.onContextShift(int64_t(all.size()));
  sequence.evaluated = 0;
  const Result<std::span<const float>> logits = engine.prefill(sequence.index, all, 0, interrupt);
  if (!logits)
    return tl::unexpected(logits.error());
  if (logits->empty()) {
    finish(sequence, Ending::Interrupted, observer);
    return {};
  }
  sequence.evaluated = all.size();
  return choose(sequence, *logits, observer);
}

} // namespace sinter
