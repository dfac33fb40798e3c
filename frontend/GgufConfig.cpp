// SPDX-License-Identifier: Apache-2.0
// The metadata of a GGUF file to a ModelConfig.
#include "frontend/Architecture.h"
#include "frontend/GgufKeys.h"
#include "runtime/generate/SamplingRanges.h"

#include <algorithm>
#include <filesystem>

namespace sinter {
namespace {

std::string knownNames() {
  std::string text;
  for (const Architecture *architecture : architectures())
    for (std::string_view name : architecture->ggufNames)
      text += (text.empty() ? "" : ", ") + std::string(name);
  return text;
}

/// End tokens: of texts, turns and messages.
Result<> readTokens(const Gguf &file, ModelConfig &config) {
  for (const char *key : {"eos", "eot", "eom"}) {
    Result<std::optional<int64_t>> id = file.findAs<int64_t>(fmt::format("tokenizer.ggml.{}_token_id", key));
    if (!id)
      return tl::unexpected(id.error());
    if (*id && config.hasToken(**id) && std::ranges::find(config.eos, **id) == config.eos.end())
      config.eos.push_back(**id);
  }
  Result<std::optional<int64_t>> bos = file.findAs<int64_t>("tokenizer.ggml.bos_token_id");
  if (!bos)
    return tl::unexpected(bos.error());
  if (*bos && config.hasToken(**bos)) // -1 as 4294967295: none
    config.bos = *bos;
  return {};
}

Result<> readSampling(const Gguf &file, GenerationDefaults &generation) {
  Result<> done;
  auto read = [&]<typename Number>(std::string_view name, std::optional<Number> &to, auto range) {
    std::string key = fmt::format("general.sampling.{}", name);
    Result<std::optional<Number>> value = file.findAs<Number>(key);
    if (!done)
      return;
    if (!value)
      done = tl::unexpected(value.error());
    else if (*value && !range.contains(double(**value)))
      done = fail("{}: metadata key '{}': expected a number from {} to {}, found {}", file.path(), key,
                  range.least, range.most, **value);
    else
      to = *value;
  };
  read("temp", generation.temperature, sampling::temperature);
  read("top_p", generation.topP, sampling::topP);
  read("min_p", generation.minP, sampling::minP);
  read("penalty_repeat", generation.repetitionPenalty, sampling::repeatPenalty);
  read("top_k", generation.topK, sampling::topK);
  return done;
}

} // namespace

Result<const Architecture *> architectureOf(const Gguf &file) {
  Result<std::string> name = file.get<std::string>("general.architecture");
  if (!name)
    return tl::unexpected(name.error());
  const Architecture *architecture = findGgufArchitecture(*name);
  if (!architecture)
    return fail("{}: metadata key 'general.architecture': expected one of {}, found \"{}\"", file.path(),
                knownNames(), *name);
  // llama.cpp's converter gives Mixtral the name llama.
  GgufKeys keys(file, *name);
  bool hasExperts = architecture == &llama && keys.optionalSize("expert_count");
  if (Result<> status = keys.status(); !status)
    return tl::unexpected(status.error());
  return hasExperts ? &mixtral : architecture;
}

Result<ModelConfig> readGgufConfig(const Gguf &file) {
  Result<const Architecture *> found = architectureOf(file);
  if (!found)
    return tl::unexpected(found.error());
  const Architecture *architecture = *found;
  GgufKeys keys(file, *file.get<std::string>("general.architecture"));
  ModelConfig config;
  config.architecture = architecture;
  Result<std::string> title = file.getOr<std::string>("general.name", "");
  config.name = title && !title->empty() ? *title : std::filesystem::path(file.path()).stem().string();
  architecture->readGguf(keys, config);
  keys.check(config.keyValueHeads == 0 || config.heads % config.keyValueHeads == 0, "attention.head_count_kv",
             fmt::format("a divisor of the {} heads", config.heads), std::to_string(config.keyValueHeads));
  keys.check(config.headsFit(), "attention.head_count", config.fittingHeads(), std::to_string(config.heads));
  keys.check(config.expertsFit(), "expert_count", config.fittingExperts(), std::to_string(config.experts));
  for (Result<> status : {keys.status(), keys.failed() ? Result<>() : readTokens(file, config),
                          keys.failed() ? Result<>() : readSampling(file, config.generation)})
    if (!status)
      return tl::unexpected(status.error());
  return config;
}

} // namespace sinter
