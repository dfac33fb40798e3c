// SPDX-License-Identifier: Apache-2.0
// The flags, their ranges and their help. Names and defaults are llama.cpp's where it has them.
#include "runtime/generate/Options.h"
#include "runtime/generate/Flags.h"
#include "runtime/generate/SamplingRanges.h"
#include "runtime/generate/TokenIds.h"
#include <algorithm>
#include <cmath>
#include <limits>

namespace sinter {

namespace {

/// "123+1.5", "123-inf".
Result<std::pair<int32_t, float>> parseBias(std::string_view text) {
  const size_t sign = text.find_first_of("+-", 1);
  std::pair<int32_t, float> bias;
  if (sign == text.npos || !parseNumber(text.substr(0, sign), bias.first) || bias.first < 0 ||
      !parseNumber(text.substr(sign + 1), bias.second) || std::isnan(bias.second))
    return fail("expected TOKEN+BIAS or TOKEN-BIAS, as 123+1.5 or 123-inf, found '{}'", text);
  if (text[sign] == '-')
    bias.second = -bias.second;
  if (bias.second == std::numeric_limits<float>::infinity())
    return fail("expected a finite bias, or -inf, which excludes a token, found '{}'", text);
  return bias;
}

/// What has to be looked at again when all flags are there.
struct Raw {
  std::optional<std::string> limit;
  bool help = false;
  std::vector<Command> commands;
};

auto switchOn(bool &target) {
  return [&target](std::string_view) -> Result<void> {
    target = true;
    return {};
  };
}

template <typename Text> auto text(Text &target) {
  return [&target](std::string_view value) -> Result<void> {
    target = std::string(value);
    return {};
  };
}

template <typename Number> auto numberIn(sampling::Range<Number> range, Number &target) {
  return numberBetween(range.least, range.most, target);
}

std::vector<FlagGroup> flagsOf(Options &o, Raw &raw) {
  constexpr int most = std::numeric_limits<int32_t>::max();
  constexpr int64_t most64 = most;
  SamplerOptions &s = o.sampling;
  const auto command = [&raw](Command which) {
    return [&raw, which](std::string_view) -> Result<void> {
      raw.commands.push_back(which);
      return {};
    };
  };
  const auto promptTokens = [&o](std::string_view value) -> Result<void> {
    Result<std::vector<int32_t>> ids = parseIdList(value);
    if (!ids)
      return tl::unexpected(ids.error());
    o.promptTokens = std::move(*ids);
    return {};
  };
  const auto system = [&o](std::string_view value) -> Result<void> {
    o.system = std::string(value);
    o.chat = true;
    return {};
  };
  const auto stop = [&o](std::string_view value) -> Result<void> {
    if (value.empty())
      return fail("expected a text, found an empty one");
    o.stopStrings.emplace_back(value);
    return {};
  };
  const auto weightsFile = [&o](std::string_view value) -> Result<void> {
    if (value.empty())
      return fail("expected a path, found an empty one");
    o.weightsFile = std::string(value);
    return {};
  };
  const auto kvType = [&o](std::string_view value) -> Result<void> {
    constexpr std::pair<std::string_view, sinter_dtype> types[] = {
        {"f16", SINTER_F16}, {"bf16", SINTER_BF16}, {"f32", SINTER_F32}};
    for (const auto &[name, type] : types)
      if (value == name) {
        o.kvType = type;
        return {};
      }
    return fail("expected f16, bf16 or f32, found '{}'", value);
  };
  const auto device = [&o](std::string_view value) -> Result<void> {
    if (readDeviceChoice(value, o.device))
      return {};
    return fail("expected cuda, cpu or emulator, found '{}'", value);
  };
  const auto bias = [&s](std::string_view value) -> Result<void> {
    Result<std::pair<int32_t, float>> parsed = parseBias(value);
    if (!parsed)
      return tl::unexpected(parsed.error());
    s.logitBias.push_back(*parsed);
    return {};
  };
  const auto samplers = [&s](std::string_view value) -> Result<void> {
    Result<std::vector<Filter>> order = parseFilters(value);
    if (!order)
      return tl::unexpected(order.error());
    s.order = std::move(*order);
    return {};
  };
  const auto seed = [&o](std::string_view value) -> Result<void> {
    uint64_t number = 0;
    if (value != "-1" && !parseNumber(value, number)) // -1, as in llama.cpp: any
      return fail("expected a whole number from 0 to 2^64 - 1, found '{}'", value);
    o.seed = value == "-1" ? std::nullopt : std::optional(number);
    return {};
  };
  const auto probs = [&o](std::string_view value) -> Result<void> {
    o.probs = 10;
    return value.empty() ? Result<void>() : numberBetween(int64_t(1), most64, o.probs)(value);
  };
  const auto topLogprobs = [&o](std::string_view value) -> Result<void> {
    return numberBetween(int64_t(0), most64, o.topLogprobs.emplace())(value);
  };
  return {
      {"Prompt",
       {{"-p,--prompt", "TEXT", "the text to continue, as it is (piped standard input without -p and -f)",
         text(o.prompt)},
        {"-f,--file", "PATH", "read the text from this file", text(o.file)},
        {"--prompt-tokens", "IDS", "continue (with --perplexity score) exactly these token ids: 1,2,3",
         promptTokens},
        {"-cnv,--chat,--conversation", "", "talk, through the model's chat template", switchOn(o.chat)},
        {"--system", "TEXT", "system message of a chat", system},
        {"--echo", "", "write the prompt too", switchOn(o.echo)}}},
      {"Generation",
       {{"-n,--predict,--n-predict", "N", "tokens to generate; -1: until the end (default -1)",
         text(raw.limit)},
        {"-c,--ctx-size", "N", "tokens of context; 0: the model's (default 0)",
         numberBetween(int64_t(0), most64, o.context)},
        {"--device", "DEVICE", "cuda, cpu or emulator (default: a GPU where program and machine have one)",
         device},
        {"-t,--threads", "N", "threads (default: one a core)", numberBetween(1, 1024, o.threads)},
        {"-r,--reverse-prompt", "TEXT", "end when this text appears; it is not written; repeatable", stop},
        {"--ignore-eos", "", "never draw an end token", switchOn(o.ignoreEos)},
        {"--context-shift", "", "at the context's end go on with its latest half", switchOn(o.contextShift)},
        {"--samples", "N", "continuations of the prompt, computed together (default 1)",
         numberBetween(1, 4096, o.samples)},
        {"--kv-type", "TYPE", "type of keys and values: f16, bf16 or f32", kvType},
        {"--special", "", "write special tokens; with --tokenize, add those in front", switchOn(o.special)},
        {"--weights-file", "PATH", "file of the weights, when they lie outside", weightsFile}}},
      {"Sampling",
       {{"--temp,--temperature", "T", "0: always the best token",
         numberIn(sampling::temperature, s.temperature)},
        {"--top-k", "K", "keep the best K; 0: all", numberIn(sampling::topK, s.topK)},
        {"--top-p", "P", "keep the best that reach probability P; 1: all", numberIn(sampling::topP, s.topP)},
        {"--min-p", "P", "drop what is less than P times as probable as the best; 0: none",
         numberIn(sampling::minP, s.minP)},
        {"--repeat-penalty", "X", "divides logits of recent tokens; 1: off",
         numberIn(sampling::repeatPenalty, s.repeatPenalty)},
        {"--repeat-last-n", "N", "tokens that count as recent; 0: none, -1: all",
         numberBetween(-1, most, s.repeatLastN)},
        {"--presence-penalty", "X", "taken from logits of recent tokens; 0: off",
         numberIn(sampling::penalty, s.presencePenalty)},
        {"--frequency-penalty", "X", "the same for each occurrence; 0: off",
         numberIn(sampling::penalty, s.frequencyPenalty)},
        {"-l,--logit-bias", "TOKEN+BIAS", "or TOKEN-BIAS, as 123+1.5 or 123-inf; repeatable", bias},
        {"--samplers", "FILTERS",
         "filters in order (default penalties;top_k;top_p;min_p;temperature; Hugging Face's order is "
         "penalties;temperature;top_k;top_p;min_p)",
         samplers},
        {"-s,--seed", "SEED", "seed of the draws (default: drawn and written to stderr)", seed},
        {"--probs", "K", "show each choice in a table of K candidates on stderr (default 10)", probs, true}}},
      {"Instead of text",
       {{"--json", "", "JSON Lines, one object a token", switchOn(o.json)},
        {"--top-logprobs", "K", "with --json: the K most probable tokens too, or all that there are",
         topLogprobs},
        {"--tokenize", "", "write the text's token ids as a JSON array", command(Command::Tokenize)},
        {"--detokenize", "", "read a JSON array of ids on standard input, write their bytes",
         command(Command::Detokenize)},
        {"--perplexity", "", "how well the model predicts the text", command(Command::Perplexity)},
        {"--bench", "", "speed of prefill (-p 512 tokens) and generation (-n 128)", command(Command::Bench)},
        {"--repetitions", "N", "of each test of --bench (default 5)",
         numberBetween(1, 1000, o.benchRepetitions)},
        {"--launches", "", "with --bench: the time of each kernel too", switchOn(o.benchLaunches)},
        {"--info", "", "what this program contains and what it runs on", command(Command::Info)},
        {"--check-weights", "", "compare every byte of the file of weights with what was compiled",
         command(Command::CheckWeights)},
        {"--version", "", "versions", command(Command::Version)},
        {"-h,--help", "", "this text", switchOn(raw.help)}}}};
}

constexpr std::string_view otherCommands =
    "--tokenize, --detokenize, --perplexity, --bench, --info and --check-weights";

/// What is left to look at once all flags are there.
Result<void> finish(Options &o, const Raw &raw) {
  if (raw.commands.size() > 1)
    return fail("expected one of --tokenize, --detokenize, --perplexity, --bench, --info, --check-weights "
                "and --version, "
                "found {}",
                raw.commands.size());
  if (!raw.commands.empty())
    o.command = raw.commands[0];
  const bool bench = o.command == Command::Bench;
  if (raw.limit) {
    const int64_t least = bench ? 0 : -1;
    int64_t &number = bench ? o.benchGenerate : o.limit;
    if (!parseNumber(*raw.limit, number) || number < least || number > std::numeric_limits<int32_t>::max())
      return fail("-n: expected a number of tokens, {} or more, found '{}'", least, *raw.limit);
  }
  if (bench && (o.file || o.promptTokens))
    return fail("--bench: expected without -f and --prompt-tokens: it takes a number of tokens as -p");
  if (o.command == Command::Tokenize && o.promptTokens)
    return fail("--prompt-tokens: expected without --tokenize, which reads text");
  if (bench && o.prompt &&
      (!parseNumber(*o.prompt, o.benchPrompt) || o.benchPrompt < 0 || o.benchPrompt > (1 << 24)))
    return fail("-p: with --bench expected a number of tokens, found '{}'", *o.prompt);
  if (!bench && int(o.prompt.has_value()) + int(o.file.has_value()) + int(o.promptTokens.has_value()) > 1)
    return fail("expected one of -p, -f and --prompt-tokens, found more");
  if (bench && o.benchPrompt == 0 && o.benchGenerate == 0)
    return fail("--bench: expected tokens to read (-p) or to generate (-n), found 0 of both");
  if (o.benchLaunches && !bench)
    return fail("--launches: expected together with --bench");
  const bool generates = o.command == Command::Generate;
  if (o.samples > 1 && !generates)
    return fail("--samples: expected without {}", otherCommands);
  if (o.command == Command::Detokenize && (o.prompt || o.file || o.promptTokens))
    return fail("--detokenize: expected ids on standard input, found -p, -f or --prompt-tokens");
  if ((o.command == Command::Info || o.command == Command::CheckWeights) && o.json)
    return fail("--json: expected without --info and --check-weights, which are text");
  if (o.echo && (!generates || o.chat || o.json))
    return fail("--echo: expected without --chat, --json and the commands that generate nothing");
  if (o.chat && !generates)
    return fail("--chat: expected without {}", otherCommands);
  if (o.topLogprobs && !o.json)
    return fail("--top-logprobs: expected together with --json");
  if (o.chat && (o.samples > 1 || o.promptTokens))
    return fail("--chat: expected without --samples and --prompt-tokens");
  return {};
}

} // namespace

Result<Options> parseOptions(int argc, const char *const *argv, const SamplerOptions &defaults,
                             const std::string &description) {
  Options options;
  options.sampling = defaults;
  Raw raw;
  const std::vector<FlagGroup> groups = flagsOf(options, raw);
  const Result<void> parsed = parseFlags(groups, argc, argv);
  if (raw.help) {
    options.command = Command::Help;
    options.helpText = description + "\n" + describeFlags(groups);
    return options;
  }
  if (!parsed)
    return tl::unexpected(parsed.error());
  if (Result<void> finished = finish(options, raw); !finished)
    return tl::unexpected(finished.error());
  return options;
}

} // namespace sinter
