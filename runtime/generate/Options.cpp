// SPDX-License-Identifier: Apache-2.0
// The flags, their ranges and their help, through CLI11. Names and defaults are llama.cpp's where it has
// them.
#include "runtime/generate/Options.h"
#include "runtime/generate/TokenIds.h"
#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace sinter {

namespace {

/// Parses all of `text` as a number.
template <typename Number> bool parseNumber(std::string_view text, Number &out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

/// "123+1.5", "123-inf".
Result<std::pair<int32_t, float>> parseBias(std::string_view text) {
  const size_t sign = text.find_first_of("+-", 1);
  std::pair<int32_t, float> bias;
  if (sign == text.npos || !parseNumber(text.substr(0, sign), bias.first) || bias.first < 0 ||
      !parseNumber(text.substr(sign + 1), bias.second) || std::isnan(bias.second))
    return fail("--logit-bias: expected TOKEN+BIAS or TOKEN-BIAS, as 123+1.5 or 123-inf, found '{}'", text);
  if (text[sign] == '-')
    bias.second = -bias.second;
  return bias;
}

/// A check that a value is a number from `least` to `most`; NaN is none.
CLI::Validator between(double least, double most) {
  return CLI::Validator(
      [=](std::string &text) {
        double number;
        return parseNumber(text, number) && number >= least && number <= most
                   ? std::string()
                   : fmt::format("expected a number from {} to {}, found '{}'", least, most, text);
      },
      "", "range");
}

/// What CLI11 fills and has to be looked at again.
struct Raw {
  std::string promptTokens, samplers, kvType, seed, prompt, limit;
  std::vector<std::string> biases;
  bool tokenize = false, detokenize = false, perplexity = false, bench = false, info = false, version = false;
};

template <typename T>
CLI::Option *flagWithValue(CLI::App &app, const char *names, T &value, const char *help) {
  return app.add_option(names, value, help)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

CLI::Option *list(CLI::App &app, const char *names, std::vector<std::string> &value, const char *help) {
  return app.add_option(names, value, help)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void addFlags(CLI::App &app, Options &o, Raw &raw, std::string &prompt, std::string &file,
              std::string &system) {
  const int32_t most = std::numeric_limits<int32_t>::max();
  const float large = std::numeric_limits<float>::max();
  SamplerOptions &s = o.sampling;

  app.option_defaults()->group("Prompt");
  flagWithValue(app, "-p,--prompt", prompt,
                "the text to continue, as it is (piped standard input without -p and -f)");
  flagWithValue(app, "-f,--file", file, "read the text from this file");
  flagWithValue(app, "--prompt-tokens", raw.promptTokens, "continue exactly these token ids: 1,2,3");
  app.add_flag("--chat,--conversation", o.chat, "-cnv: talk, through the model's chat template");
  flagWithValue(app, "--system", system, "system message of a chat");
  app.add_flag("--echo", o.echo, "write the prompt too");

  app.option_defaults()->group("Generation");
  flagWithValue(app, "-n,--predict,--n-predict", raw.limit,
                "tokens to generate; -1: until the end (default -1)");
  flagWithValue(app, "-c,--ctx-size", o.context, "tokens of context; 0: the model's (default 0)")
      ->check(between(0, most));
  flagWithValue(app, "-t,--threads", o.threads, "threads (default: one a core)")->check(between(1, 1024));
  list(app, "-r,--reverse-prompt", o.stopStrings,
       "end when this text appears; it is not written; repeatable");
  app.add_flag("--ignore-eos", o.ignoreEos, "never draw an end token");
  app.add_flag("--context-shift", o.contextShift, "at the context's end go on with its latest half");
  flagWithValue(app, "--samples", o.samples, "continuations of the prompt, computed together (default 1)")
      ->check(between(1, 4096));
  flagWithValue(app, "--kv-type", raw.kvType, "type of keys and values: f16, bf16 or f32")
      ->check(CLI::IsMember({"f16", "bf16", "f32"}));
  app.add_flag("--special", o.special, "write special tokens; with --tokenize, add those in front");
  flagWithValue(app, "--weights-file", o.weightsFile, "file of the weights, when they lie outside");

  app.option_defaults()->group("Sampling");
  flagWithValue(app, "--temp,--temperature", s.temperature, "0: always the best token")
      ->check(between(0.0f, large));
  flagWithValue(app, "--top-k", s.topK, "keep the best K; 0: all")->check(between(0, most));
  flagWithValue(app, "--top-p", s.topP, "keep the best that reach probability P; 1: all")
      ->check(between(0.0f, 1.0f));
  flagWithValue(app, "--min-p", s.minP, "drop what is less than P times as probable as the best; 0: none")
      ->check(between(0.0f, 1.0f));
  flagWithValue(app, "--repeat-penalty", s.repeatPenalty, "divides logits of recent tokens; 1: off")
      ->check(between(std::numeric_limits<float>::min(), large));
  flagWithValue(app, "--repeat-last-n", s.repeatLastN, "tokens that count as recent; 0: none, -1: all")
      ->check(between(-1, most));
  flagWithValue(app, "--presence-penalty", s.presencePenalty, "taken from logits of recent tokens; 0: off")
      ->check(between(-large, large));
  flagWithValue(app, "--frequency-penalty", s.frequencyPenalty, "the same for each occurrence; 0: off")
      ->check(between(-large, large));
  list(app, "-l,--logit-bias", raw.biases, "TOKEN+BIAS or TOKEN-BIAS, as 123+1.5 or 123-inf; repeatable");
  flagWithValue(app, "--samplers", raw.samplers,
                "filters in order (default penalties;top_k;top_p;min_p;temperature; Hugging Face's order is "
                "penalties;temperature;top_k;top_p;min_p)");
  flagWithValue(app, "-s,--seed", raw.seed, "seed of the draws (default: drawn and written to stderr)");
  app.add_option("--probs", o.probs, "show each choice in a table of K candidates on stderr (default 10)")
      ->expected(0, 1)
      ->default_str("10")
      ->check(between(1, most));

  app.option_defaults()->group("Instead of text");
  app.add_flag("--json", o.json, "JSON Lines, one object a token");
  flagWithValue(app, "--top-logprobs", o.topLogprobs, "with --json: the K most probable tokens too")
      ->check(between(0, most));
  app.add_flag("--tokenize", raw.tokenize, "write the text's token ids as a JSON array");
  app.add_flag("--detokenize", raw.detokenize,
               "read a JSON array of ids on standard input, write their bytes");
  app.add_flag("--perplexity", raw.perplexity, "how well the model predicts the text");
  app.add_flag("--bench", raw.bench, "speed of prefill (-p 512 tokens) and generation (-n 128)");
  flagWithValue(app, "--repetitions", o.benchRepetitions, "of each test of --bench (default 5)")
      ->check(between(1, 1000));
  app.add_flag("--launches", o.benchLaunches, "with --bench: the time of each kernel too");
  app.add_flag("--info", raw.info, "what this program contains and what it runs on");
  app.add_flag("--version", raw.version, "versions");
}

Result<void> setCommand(Options &o, const Raw &raw) {
  const std::pair<bool, Command> wanted[] = {{raw.tokenize, Command::Tokenize},
                                             {raw.detokenize, Command::Detokenize},
                                             {raw.perplexity, Command::Perplexity},
                                             {raw.bench, Command::Bench},
                                             {raw.info, Command::Info},
                                             {raw.version, Command::Version}};
  int count = 0;
  for (const auto &[set, command] : wanted)
    if (set) {
      o.command = command;
      ++count;
    }
  if (count > 1)
    return fail(
        "expected one of --tokenize, --detokenize, --perplexity, --bench, --info and --version, found {}",
        count);
  return {};
}

/// What is left to look at once CLI11 has taken the arguments apart.
Result<void> finish(Options &o, const Raw &raw, const CLI::App &app) {
  if (Result<void> set = setCommand(o, raw); !set)
    return set;
  const bool bench = o.command == Command::Bench;
  if (app.count("-n")) {
    const int64_t least = bench ? 0 : -1;
    int64_t &number = bench ? o.benchGenerate : o.limit;
    if (!parseNumber(raw.limit, number) || number < least || number > std::numeric_limits<int32_t>::max())
      return fail("-n: expected a number of tokens, {} or more, found '{}'", least, raw.limit);
  }
  if (bench && o.prompt &&
      (!parseNumber(*o.prompt, o.benchPrompt) || o.benchPrompt < 0 || o.benchPrompt > (1 << 24)))
    return fail("-p: with --bench expected a number of tokens, found '{}'", *o.prompt);
  if (app.count("--prompt-tokens")) {
    Result<std::vector<int32_t>> ids = parseIdList(raw.promptTokens);
    if (!ids)
      return tl::unexpected(ids.error());
    o.promptTokens = std::move(*ids);
  }
  if (!bench && int(o.prompt.has_value()) + int(o.file.has_value()) + int(o.promptTokens.has_value()) > 1)
    return fail("expected one of -p, -f and --prompt-tokens, found more");
  for (const std::string &text : raw.biases) {
    Result<std::pair<int32_t, float>> bias = parseBias(text);
    if (!bias)
      return tl::unexpected(bias.error());
    o.sampling.logitBias.push_back(*bias);
  }
  if (app.count("--samplers")) {
    Result<std::vector<Filter>> order = parseFilters(raw.samplers);
    if (!order)
      return fail("--samplers: {}", order.error().message);
    o.sampling.order = std::move(*order);
  }
  if (app.count("--seed") && raw.seed != "-1") { // -1, as in llama.cpp: any
    uint64_t seed;
    if (!parseNumber(raw.seed, seed))
      return fail("-s: expected a whole number from 0 to 2^64 - 1, found '{}'", raw.seed);
    o.seed = seed;
  }
  if (app.count("--kv-type"))
    o.kvType = raw.kvType == "f32" ? SINTER_F32 : raw.kvType == "f16" ? SINTER_F16 : SINTER_BF16;
  if (o.benchLaunches && !bench)
    return fail("--launches: expected together with --bench");
  if (app.count("--top-logprobs") && !o.json)
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
  std::string prompt, file, system;
  CLI::App app(description);
  app.set_help_flag("-h,--help", "this text");
  app.get_formatter()->column_width(40);
  addFlags(app, options, raw, prompt, file, system);

  std::vector<std::string> arguments; // CLI11 takes them last first
  for (int i = argc - 1; i > 0; --i)
    arguments.push_back(std::strcmp(argv[i], "-cnv") == 0 ? "--chat" : argv[i]);
  try {
    app.parse(std::move(arguments));
  } catch (const CLI::CallForHelp &) {
    options.command = Command::Help;
    options.helpText = app.help();
    return options;
  } catch (const CLI::ParseError &error) {
    return fail("{}", error.what());
  }
  if (app.count("-p"))
    options.prompt = prompt;
  if (app.count("-f"))
    options.file = file;
  if (app.count("--system")) {
    options.system = system;
    options.chat = true;
  }
  if (app.count("--probs") && options.probs == 0)
    options.probs = 10;
  if (Result<void> finished = finish(options, raw, app); !finished)
    return tl::unexpected(finished.error());
  return options;
}

} // namespace sinter
