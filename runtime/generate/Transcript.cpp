// SPDX-License-Identifier: Apache-2.0
// The observer of a command that generates, and its remarks.
#include "runtime/generate/Transcript.h"

namespace sinter {

Transcript::Transcript(const Setting &setting, const Codec &codec, const Sampler &sampler, Output &out)
    : options(setting.options), out(out), json(codec, options.topLogprobs.value_or(0), options.samples > 1),
      table(codec, sampler, options.probs, options.samples), waiting(size_t(options.samples)) {
  line.reserve(4096);
  for (size_t i = 1; i < waiting.size(); ++i)
    waiting[i].reserve(4096);
}

bool Transcript::onToken(const TokenEvent &event) {
  if (options.probs > 0) {
    line.clear();
    table.append(event, line);
    std::fwrite(line.data(), 1, line.size(), stderr);
  }
  if (!options.json)
    return out.ok();
  line.clear();
  json.append(event, line);
  if (event.sequence == 0)
    return out.write(line);
  waiting[size_t(event.sequence)] += line;
  return out.ok();
}

bool Transcript::onText(int sequence, std::string_view text) {
  if (options.json)
    return true;
  if (sequence == 0)
    return out.write(text);
  waiting[size_t(sequence)] += text;
  return out.ok();
}

void Transcript::onContextShift(int64_t kept) { remark("context shifted: {} tokens kept\n", kept); }

void Transcript::finish() {
  if (waiting.size() == 1)
    return;
  const std::string_view end = options.json ? "" : "\n";
  out.write(end);
  for (size_t i = 1; i < waiting.size(); ++i) {
    out.write(waiting[i]);
    out.write(end);
  }
}

LoopOptions loopOptions(const Setting &setting) {
  const Options &options = setting.options;
  return {options.limit,        options.samples, setting.metadata.eos, options.stopStrings,
          options.contextShift, options.special, setting.metadata.bos, options.json || options.probs > 0};
}

void remarkEnding(Ending ending, int64_t capacity) {
  if (ending == Ending::ContextFull)
    remark("the context of {} tokens is full (-c enlarges it, --context-shift goes on)\n", capacity);
  if (ending == Ending::Interrupted)
    remark("interrupted\n");
}

void remarkTimes(const LoopTimes &times) {
  const auto count = [](int64_t tokens) { return fmt::format("{} token{}", tokens, tokens == 1 ? "" : "s"); };
  const auto pace = [](int64_t tokens, double seconds) {
    return fmt::format("{:.1f} ms, {:.1f} tokens/s", seconds * 1e3,
                       seconds > 0 ? double(tokens) / seconds : 0);
  };
  if (times.promptTokens > 0)
    remark("prompt: {} in {}\n", count(times.promptTokens), pace(times.promptTokens, times.promptSeconds));
  // The first token is drawn from the prompt's logits: no step of decoding is its own.
  if (times.decodedTokens > 0)
    remark("generated: {}, {} decoded in {}\n", count(times.generatedTokens), times.decodedTokens,
           pace(times.decodedTokens, times.decodeSeconds));
  else if (times.generatedTokens > 0)
    remark("generated: {}\n", count(times.generatedTokens));
}

} // namespace sinter
