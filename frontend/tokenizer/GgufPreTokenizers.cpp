// SPDX-License-Identifier: Apache-2.0
// The table behind tokenizer.ggml.pre: the names that llama.cpp gives to ways of splitting, with the
// expressions of the models' own tokenizer.json. Each expression isolates its matches, one after another.
#include "frontend/tokenizer/GgufTokenizer.h"
#include "frontend/tokenizer/RegexSyntax.h"
#include "runtime/tokenizer/Splitter.h"
#include <algorithm>
#include <cassert>

namespace sinter {

namespace {

enum class Pre {
  Default,
  Gpt2,
  DigitsGpt2,
  Llama3,
  Qwen2,
  Qwen35,
  O200k,
  Tekken,
  Bloom,
  Viking,
  Falcon,
  DeepSeekCoder,
  DeepSeek3,
  SeedCoder,
  BailingMoe,
  ExaoneMoe
};
enum : unsigned { Plain = 0, Nfc = 1, IgnoreMerges = 2, AddBos = 4 };

struct Entry {
  std::string_view name;
  Pre pre;
  unsigned flags;
};

constexpr Entry entries[] = {
    {"default", Pre::Default, Plain},
    {"gpt-2", Pre::Gpt2, Plain},
    {"phi-2", Pre::Gpt2, Plain},
    {"mpt", Pre::Gpt2, Nfc},
    {"olmo", Pre::Gpt2, Nfc},
    {"jais", Pre::Gpt2, Plain},
    {"trillion", Pre::Gpt2, Plain},
    {"gigachat", Pre::Gpt2, Plain},
    {"a.x-4.0", Pre::Gpt2, Plain},
    {"mellum", Pre::Gpt2, Plain},
    {"exaone4", Pre::Gpt2, Plain},
    {"granite-docling", Pre::Gpt2, Plain},
    {"starcoder", Pre::DigitsGpt2, Plain},
    {"refact", Pre::DigitsGpt2, Plain},
    {"smollm", Pre::DigitsGpt2, Plain},
    {"codeshell", Pre::DigitsGpt2, Plain},
    {"exaone", Pre::DigitsGpt2, Plain},
    {"minerva-7b", Pre::DigitsGpt2, Plain},
    {"command-r", Pre::DigitsGpt2, Nfc},
    {"llama3", Pre::Llama3, IgnoreMerges | AddBos},
    {"llama-v3", Pre::Llama3, IgnoreMerges | AddBos},
    {"llama-bpe", Pre::Llama3, IgnoreMerges | AddBos},
    {"falcon3", Pre::Llama3, IgnoreMerges | AddBos},
    {"falcon-h1", Pre::Llama3, IgnoreMerges | AddBos},
    {"pixtral", Pre::Llama3, IgnoreMerges | AddBos},
    {"midm-2.0", Pre::Llama3, IgnoreMerges | AddBos},
    {"lfm2", Pre::Llama3, IgnoreMerges | AddBos},
    {"dbrx", Pre::Llama3, Plain},
    {"smaug-bpe", Pre::Llama3, Plain},
    {"glm4", Pre::Llama3, Plain},
    {"chatglm-bpe", Pre::Llama3, Plain},
    {"qwen2", Pre::Qwen2, Nfc},
    {"deepseek-r1-qwen", Pre::Qwen2, Plain},
    {"kormo", Pre::Qwen2, Plain},
    {"megrez", Pre::Qwen2, Plain},
    {"stablelm2", Pre::Qwen2, Plain},
    {"hunyuan", Pre::Qwen2, Plain},
    {"grok-2", Pre::Qwen2, Plain},
    {"qwen35", Pre::Qwen35, Nfc},
    {"gpt-4o", Pre::O200k, Plain},
    {"llama4", Pre::O200k, Plain},
    {"kanana2", Pre::O200k, Plain},
    {"minimax-m2", Pre::O200k, Plain},
    {"tekken", Pre::Tekken, IgnoreMerges | AddBos},
    {"bloom", Pre::Bloom, Plain},
    {"poro-chat", Pre::Bloom, Plain},
    {"gpt3-finnish", Pre::Bloom, Plain},
    {"viking", Pre::Viking, Plain},
    {"falcon", Pre::Falcon, Plain},
    {"deepseek-coder", Pre::DeepSeekCoder, Plain},
    {"deepseek-v3", Pre::DeepSeek3, Plain},
    {"hunyuan-dense", Pre::DeepSeek3, Plain},
    {"seed-coder", Pre::SeedCoder, Plain},
    {"bailingmoe", Pre::BailingMoe, Plain},
    {"exaone-moe", Pre::ExaoneMoe, Plain},
};

StepSpec use(SplitterKind kind) { return {StepKind::Splitter, static_cast<uint32_t>(kind), {}, {}}; }

std::vector<StepSpec> stepsOf(Pre pre) {
  auto regexes = [](std::initializer_list<std::string_view> patterns) {
    std::vector<StepSpec> steps;
    for (std::string_view pattern : patterns) {
      SplitterKind kind = findSplitter(pattern);
      Result<std::string> translated = translateRegex(pattern);
      assert(translated && "the expressions of this table translate");
      steps.push_back(kind != SplitterKind::Count ? use(kind)
                                                  : StepSpec{StepKind::SplitRegex, 0, *translated, {}});
    }
    return steps;
  };
  std::string_view gpt2 = splitterPattern(SplitterKind::Gpt2);
  constexpr std::string_view bloom = " ?[^(\\s|.,!?…。，、।۔،)]+";
  switch (pre) {
  case Pre::Default:
    return regexes({"[\\p{P}\\$\\+<=>\\^~\\|]+", gpt2, "\\p{N}+", "[0-9][0-9][0-9]"});
  case Pre::Gpt2:
    return {use(SplitterKind::Gpt2)};
  case Pre::DigitsGpt2:
    return {{StepKind::Digits, 1, {}, {}}, use(SplitterKind::Gpt2)};
  case Pre::Llama3:
    return {use(SplitterKind::Llama3)};
  case Pre::Qwen2:
    return {use(SplitterKind::Qwen2)};
  case Pre::Qwen35:
    return {use(SplitterKind::Qwen35)};
  case Pre::O200k:
    return {use(SplitterKind::O200k)};
  case Pre::Tekken:
    return {use(SplitterKind::Tekken)};
  case Pre::Bloom:
    return regexes({bloom});
  case Pre::Viking:
    return regexes({bloom, "\\p{N}"});
  case Pre::Falcon:
    return regexes({"[\\p{P}\\$\\+<=>\\^~\\|`]+", gpt2, "[0-9][0-9][0-9]"});
  case Pre::DeepSeekCoder:
    return regexes({"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"});
  case Pre::DeepSeek3:
    return regexes(
        {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
         "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
         "| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"});
  case Pre::SeedCoder:
    return regexes(
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+"
         "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"});
  case Pre::BailingMoe:
    return regexes(
        {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*"
         "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"});
  case Pre::ExaoneMoe:
    return regexes(
        {"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}"
         "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"});
  }
  return {};
}

} // namespace

std::optional<GgufPreTokenizer> findGgufPreTokenizer(std::string_view name) {
  const Entry *entry = std::find_if(std::begin(entries), std::end(entries),
                                    [&](const Entry &candidate) { return candidate.name == name; });
  if (entry == std::end(entries))
    return std::nullopt;
  return GgufPreTokenizer{stepsOf(entry->pre), (entry->flags & Nfc) != 0, (entry->flags & IgnoreMerges) != 0,
                          (entry->flags & AddBos) != 0};
}

std::string knownGgufPreTokenizers() {
  std::string names;
  for (const Entry &entry : entries)
    names.append(names.empty() ? "" : ", ").append(entry.name);
  return names;
}

} // namespace sinter
