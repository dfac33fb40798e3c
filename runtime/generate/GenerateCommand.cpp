// SPDX-License-Identifier: Apache-2.0
// Continues a text: -p, -f, piped standard input or --prompt-tokens.
#include "runtime/files/Utf8.h"
#include "runtime/generate/Commands.h"
#include "runtime/generate/ContextSize.h"
#include "runtime/generate/Loop.h"
#include "runtime/generate/Output.h"
#include "runtime/generate/ProbsTable.h"
#include "runtime/generate/TokenJson.h"
#include "runtime/generate/Transcript.h"
#include <algorithm>
#include <unistd.h>

namespace sinter {

namespace {

/// The prompt's tokens; text is encoded with what the tokenizer puts around it.
Result<std::vector<int32_t>> promptTokens(const Setting &setting, const Codec &codec, std::string &text) {
  if (setting.options.promptTokens) {
    // Half a character at the end is not shown: the loop's stream goes on after the prompt, and completes it.
    const std::unique_ptr<TextStream> stream = codec.stream(setting.options.special);
    for (int32_t token : *setting.options.promptTokens)
      stream->push(token, text);
    return *setting.options.promptTokens;
  }
  Result<std::string> input = inputText(setting.options);
  if (!input)
    return tl::unexpected(input.error());
  text = std::move(*input);
  Result<std::vector<int32_t>> tokens = encodeForModel(setting, codec, text, true);
  if (tokens && tokens->empty())
    return fail(
        "the prompt is empty, and the tokenizer puts nothing in front of a text: expected at least one "
        "token");
  return tokens;
}

} // namespace

Result<void> runGenerate(const Setting &setting) {
  const Options &options = setting.options;
  Result<std::unique_ptr<Codec>> codec = setting.openCodec(setting.model);
  if (!codec)
    return tl::unexpected(codec.error());
  std::string text;
  Result<std::vector<int32_t>> prompt = promptTokens(setting, **codec, text);
  if (!prompt)
    return tl::unexpected(prompt.error());
  const int64_t length = int64_t(prompt->size());
  if (length > contextOf(setting))
    return fail("the prompt has {} tokens, the context {}: expected a shorter prompt{}", length,
                contextOf(setting),
                contextOf(setting) < modelContext(setting.model) ? " or a larger -c" : "");

  Result<std::unique_ptr<device::Device>> device = openDevice(setting);
  if (!device)
    return tl::unexpected(device.error());
  const int64_t needed = options.limit >= 0 ? length + options.limit : 0;
  Result<std::unique_ptr<device::Session>> session = openSession(setting, **device, needed, options.samples);
  if (!session)
    return tl::unexpected(session.error());
  if (length > (*session)->capacity())
    return fail("the prompt has {} tokens, memory holds {}", length, (*session)->capacity());
  Engine engine(setting.model, std::move(*session));
  Sampler sampler = makeSampler(setting);
  Loop loop(engine, **codec, sampler, loopOptions(setting));
  Output out(STDOUT_FILENO);
  Transcript transcript(setting, **codec, sampler, out);
  if (options.echo && !options.json)
    out.write(repairUtf8(text));

  const std::atomic<bool> &interrupt = watchInterrupt();
  const Result<Ending> ending = loop.run(*prompt, transcript, interrupt);
  transcript.finish();
  if (!ending)
    return tl::unexpected(ending.error());
  if (isatty(STDOUT_FILENO) && !options.json) // lines have their ends
    remark("\n");
  remarkEnding(*ending, engine.capacity());
  remarkTimes(loop.times());
  return out.status();
}

} // namespace sinter
