// SPDX-License-Identifier: Apache-2.0
// Parses, checks against the model, dispatches; and what several commands share about sessions and signals.
#include "runtime/generate/Program.h"
#include "runtime/files/StandardStreams.h"
#include "runtime/generate/Commands.h"
#include "runtime/generate/ContextSize.h"
#include "runtime/generate/Loop.h"
#include "runtime/generate/Output.h"
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <new>
#include <unistd.h>

namespace sinter {

namespace {

std::atomic<bool> interrupted{false};

/// Where nothing else may be called any more.
[[noreturn]] void stop(std::string_view message) {
  const ssize_t ignored = write(STDERR_FILENO, message.data(), message.size());
  (void)ignored;
  _exit(1);
}

[[noreturn]] void outOfMemory() {
  stop("error: expected more memory, the system gave none (a smaller -c needs less)\n");
}

/// A page of a mapped file is not there.
void lostPage(int) {
  stop("error: expected the whole file of the weights (this program's, or --weights-file), found it cut "
       "short or "
       "unreadable\n");
}

/// Whether a chat is what is wanted: asked for, or at a terminal without a text.
bool talks(const Options &options) {
  const bool given = options.prompt || options.file || options.promptTokens;
  return options.command == Command::Generate && (options.chat || (!given && isatty(STDIN_FILENO)));
}

/// Checks what flags say about this model.
Result<void> checkOptions(const Setting &setting) {
  const Options &options = setting.options;
  const sinter_model &model = setting.model;
  if (model.context > 0 && options.context > model.context)
    return fail("-c: expected at most {} tokens, the model's context, found {}", model.context,
                options.context);
  if (options.contextShift && options.context > 0 && options.context < leastShiftedContext)
    return fail("-c: expected at least {} tokens for --context-shift, found {}", leastShiftedContext,
                options.context);
  if (!options.weightsFile.empty() && model.weights.data)
    return fail("--weights-file: expected a model whose weights lie outside, found one that contains them; "
                "{} is not read",
                options.weightsFile);
  if (options.command == Command::CheckWeights && model.weights.data)
    return fail("--check-weights: expected a model whose weights lie in a file of their own, found one that "
                "contains them");
  if (options.promptTokens)
    for (size_t i = 0; i < options.promptTokens->size(); ++i)
      if ((*options.promptTokens)[i] >= model.vocabulary)
        return fail("--prompt-tokens: expected ids below {}, found {} as number {}", model.vocabulary,
                    (*options.promptTokens)[i], i + 1);
  for (const auto &[id, bias] : options.sampling.logitBias)
    if (id >= model.vocabulary)
      return fail("--logit-bias: expected ids below {}, found {}", model.vocabulary, id);
  if (options.chat && setting.metadata.chatTemplate.empty())
    return fail("--chat: expected a model with a chat template, this one has none");
  if (talks(options) && setting.metadata.chatTemplate.empty())
    return fail("expected -p, -f or text on standard input; the model has no chat template to talk through");
  if (talks(options) && (options.samples > 1 || options.echo))
    return fail("{}: expected -p, -f or text on standard input; without these a terminal is for a chat",
                options.samples > 1 ? "--samples" : "--echo");
  if (options.kvType && !device::findProgram(model, options.kvType)) {
    std::string have;
    for (uint64_t i = 0; i < model.program_count; ++i)
      have += (i ? ", " : "") + std::string(device::dtypeName(model.programs[i].cache_dtype));
    return fail("--kv-type: expected one that the model was compiled for ({}), found {}", have,
                device::dtypeName(*options.kvType));
  }
  return {};
}

Result<void> dispatch(const Setting &setting) {
  switch (setting.options.command) {
  case Command::Tokenize:
    return runTokenize(setting);
  case Command::Detokenize:
    return runDetokenize(setting);
  case Command::Perplexity:
    return runPerplexity(setting);
  case Command::Bench:
    return runBench(setting);
  case Command::Info:
    return runInfo(setting);
  case Command::CheckWeights:
    return runCheckWeights(setting);
  default:
    break;
  }
  return talks(setting.options) ? runChat(setting) : runGenerate(setting);
}

} // namespace

int runProgram(const sinter_model &model, CodecOpener openCodec, int argc, const char *const *argv) {
  reserveStandardStreams();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN); // a file that may not grow is an error of write()
  std::signal(SIGBUS, lostPage);
  std::set_new_handler(outOfMemory);
  const std::string name = model.name ? model.name : "model";
  const Result<Metadata> metadata =
      parseMetadata({static_cast<const char *>(model.metadata.data), size_t(model.metadata.size)});
  if (!metadata) {
    remark("error: {}\n", metadata.error().message);
    return 1;
  }
  const Result<Options> options = parseOptions(argc, argv, metadata->sampling, name + ", compiled by sinter");
  if (!options) {
    remark("error: {}\n(--help lists the flags)\n", options.error().message);
    return 2;
  }
  Output out(STDOUT_FILENO);
  if (options->command == Command::Help || options->command == Command::Version) {
    out.write(options->command == Command::Help ? options->helpText
                                                : fmt::format("{} (sinter {})\n", name, SINTER_VERSION));
    const Result<void> written = out.status();
    if (!written)
      remark("error: {}\n", written.error().message);
    return written ? 0 : 1;
  }
  const Setting setting{model, *metadata, *options, openCodec};
  if (Result<void> checked = checkOptions(setting); !checked) {
    remark("error: {}\n(--help lists the flags)\n", checked.error().message);
    return 2;
  }
  if (Result<void> done = dispatch(setting); !done) {
    remark("error: {}\n", done.error().message);
    return 1;
  }
  return 0;
}

Result<std::string> inputText(const Options &options) {
  if (options.prompt)
    return *options.prompt;
  return readWhole(options.file ? *options.file : "-");
}

Result<std::vector<int32_t>> encodeForModel(const Setting &setting, const Codec &codec, std::string_view text,
                                            bool addSpecial) {
  Result<std::vector<int32_t>> tokens = codec.encode(text, addSpecial);
  if (tokens)
    for (const int32_t id : *tokens)
      if (id >= setting.model.vocabulary)
        return fail("the text has token {} (\"{}\"), which the model does not know: expected ids below {}",
                    id, codec.tokenBytes(id), setting.model.vocabulary);
  return tokens;
}

int64_t contextOf(const Setting &setting) {
  return setting.options.context > 0 ? setting.options.context : modelContext(setting.model);
}

Result<std::unique_ptr<device::Session>> openSession(const Setting &setting, device::Device &device,
                                                     int64_t needed, int slots) {
  const Options &options = setting.options;
  const Result<ContextSize> context =
      chooseContext(setting.model, device, {options.context, needed, slots, options.kvType});
  if (!context)
    return fail("-c: {}", context.error().message);
  if (context->reduced)
    remark("context: {} tokens, what half of the free memory holds (-c chooses)\n", context->tokens);
  return device.openSession({context->tokens, slots, options.kvType});
}

Sampler makeSampler(const Setting &setting) {
  SamplerOptions sampling = setting.options.sampling;
  if (setting.options.seed) {
    sampling.seed = *setting.options.seed;
  } else {
    uint32_t drawn = 0; // not std::random_device, which asks for glibc 2.36
    if (getentropy(&drawn, sizeof drawn) != 0)
      drawn = uint32_t(std::time(nullptr));
    sampling.seed = drawn;
    remark("seed: {}\n", sampling.seed);
  }
  if (setting.options.ignoreEos)
    for (int32_t id : setting.metadata.eos)
      if (id < setting.model.vocabulary)
        sampling.logitBias.emplace_back(id, -std::numeric_limits<float>::infinity());
  return Sampler(std::move(sampling), setting.model.vocabulary);
}

std::atomic<bool> &watchInterrupt() {
  struct sigaction action = {};
  action.sa_handler = [](int) { interrupted.store(true, std::memory_order_relaxed); };
  action.sa_flags = int(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  return interrupted;
}

} // namespace sinter
