// SPDX-License-Identifier: Apache-2.0
// config.json and generation_config.json to a ModelConfig.
#include "frontend/Architecture.h"
#include "frontend/ConfigKeys.h"
#include "runtime/files/Presence.h"
#include "runtime/generate/SamplingRanges.h"

#include <filesystem>

namespace sinter {
namespace {

std::string knownTypes() {
  std::string text;
  for (const Architecture *architecture : architectures())
    for (std::string_view type : architecture->modelTypes)
      text += (text.empty() ? "" : ", ") + std::string(type);
  return text;
}

Result<const Architecture *> architectureOf(JsonValue root) {
  JsonValue text = textPart(root);
  JsonValue type = text["model_type"];
  std::string name;
  if (type.hasValue()) {
    Result<std::string> read = type.as<std::string>();
    if (!read)
      return tl::unexpected(read.error());
    name = *read;
  } else {
    // Early files left the type of the text part to the class of the whole.
    type = root["model_type"];
    Result<std::string> read = type.as<std::string>();
    if (!read)
      return tl::unexpected(read.error());
    name = *read == "gemma3" ? "gemma3_text" : *read;
  }
  const Architecture *found = findArchitecture(name);
  if (!found)
    return fail("{}: expected one of {}, found \"{}\"", type.where(), knownTypes(), name);
  return found;
}

void checkEnds(ConfigKeys &keys, const ModelConfig &config) {
  keys.check(std::ranges::all_of(config.eos, [&](int64_t id) { return config.hasToken(id); }), "eos_token_id",
             fmt::format("ids below the vocabulary's {}", config.vocabulary));
}

Result<> readGenerationConfig(const std::string &path, ModelConfig &config) {
  Result<Json> json = Json::read(path);
  if (!json)
    return tl::unexpected(json.error());
  ConfigKeys keys(json->root());
  if (keys.value("eos_token_id").hasValue()) {
    config.eos = keys.ids("eos_token_id", {});
    checkEnds(keys, config);
  }
  if (keys.value("bos_token_id").hasValue())
    config.bos = keys.optionalInteger("bos_token_id", std::nullopt);
  GenerationDefaults &generation = config.generation;
  generation.temperature = keys.optionalReal("temperature", std::nullopt);
  generation.topP = keys.optionalReal("top_p", std::nullopt);
  generation.minP = keys.optionalReal("min_p", std::nullopt);
  generation.repetitionPenalty = keys.optionalReal("repetition_penalty", std::nullopt);
  generation.topK = keys.optionalInteger("top_k", std::nullopt);
  // Said outright, greedy; silent files, which transformers also reads as greedy, leave it to the program's
  // defaults.
  if (!keys.flag("do_sample", true))
    generation.temperature = 0;
  auto within = [&](std::string_view key, auto value, auto range) {
    keys.check(!value || range.contains(double(*value)), key,
               fmt::format("a number from {} to {}", range.least, range.most));
  };
  within("temperature", generation.temperature, sampling::temperature);
  within("top_p", generation.topP, sampling::topP);
  within("min_p", generation.minP, sampling::minP);
  within("repetition_penalty", generation.repetitionPenalty, sampling::repeatPenalty);
  within("top_k", generation.topK, sampling::topK);
  // What transformers would draw otherwise for, and nothing here does.
  constexpr std::string_view supported = "temperature, top_k, top_p, min_p and repetition_penalty alone";
  for (std::string_view key : {"no_repeat_ngram_size",
                               "bad_words_ids",
                               "suppress_tokens",
                               "begin_suppress_tokens",
                               "sequence_bias",
                               "forced_bos_token_id",
                               "forced_eos_token_id",
                               "min_length",
                               "min_new_tokens",
                               "penalty_alpha",
                               "epsilon_cutoff",
                               "eta_cutoff",
                               "exponential_decay_length_penalty",
                               "diversity_penalty",
                               "encoder_no_repeat_ngram_size",
                               "watermarking_config",
                               "top_h",
                               "token_healing",
                               "dola_layers",
                               "stop_strings"})
    keys.refuse(key, supported);
  for (std::string_view key :
       {"num_beams", "num_beam_groups", "typical_p", "guidance_scale", "encoder_repetition_penalty"})
    keys.check(keys.optionalReal(key, 1.0).value_or(1) == 1, key, fmt::format("1 ({})", supported));
  return keys.status();
}

} // namespace

JsonValue textPart(JsonValue root) {
  JsonValue text = root["text_config"];
  return text.isObject() ? text : root;
}

std::string ModelConfig::fittingHeads() const {
  return fmt::format("at most {} heads of {} columns", maxWidth / std::max<int64_t>(headDim, 1), headDim);
}

std::string ModelConfig::fittingExperts() const {
  return fmt::format("at most {} experts in all of {} layers", maxAllExperts, layers.size());
}

Result<ModelConfig> readHuggingFaceConfig(const std::string &folderOrFile) {
  namespace fs = std::filesystem;
  std::error_code code;
  bool isFolder = fs::is_directory(folderOrFile, code);
  fs::path path = isFolder ? fs::path(folderOrFile) / "config.json" : fs::path(folderOrFile);
  Result<Json> json = Json::read(path.string());
  if (!json)
    return tl::unexpected(json.error());
  JsonValue root = json->root();
  if (!root.isObject())
    return fail("{}: expected an object, found {}", root.where(), root.describe());
  Result<const Architecture *> architecture = architectureOf(root);
  if (!architecture)
    return tl::unexpected(architecture.error());

  ModelConfig config;
  config.architecture = *architecture;
  config.normOffset = (*architecture)->normOffset;
  fs::path named =
      fs::absolute(isFolder ? fs::path(folderOrFile) : path.parent_path(), code).lexically_normal();
  config.name = (named.has_filename() ? named : named.parent_path()).filename().string();
  for (JsonValue object : {root, textPart(root)}) {
    JsonValue quantization = object["quantization_config"];
    if (quantization.hasValue())
      return fail(
          "{}: expected weights in F32, F16 or BF16, found weights quantised by \"{}\"; convert the original "
          "model instead, or use a GGUF file",
          quantization.where(), quantization.getOr<std::string>("quant_method", "?").value_or("?"));
  }
  ConfigKeys keys(textPart(root), root);
  keys.check(!keys.flag("is_encoder_decoder", false), "is_encoder_decoder", "false (a decoder)");
  (*architecture)->readHuggingFace(keys, config);
  keys.check(config.keyValueHeads == 0 || config.heads % config.keyValueHeads == 0, "num_key_value_heads",
             fmt::format("a divisor of the {} attention heads", config.heads));
  keys.check(config.headsFit(), "num_attention_heads|n_head|n_heads", config.fittingHeads());
  keys.check(config.expertsFit(), "num_local_experts|num_experts", config.fittingExperts());
  if (Result<> status = keys.status(); !status)
    return tl::unexpected(status.error());

  // An id that a file gives must be one of the vocabulary; the class's own default may be that of larger
  // models.
  if (!keys.value("eos_token_id").hasValue())
    std::erase_if(config.eos, [&](int64_t id) { return !config.hasToken(id); });
  fs::path generation = path.parent_path() / "generation_config.json";
  if (isFolder && isThere(generation.string()))
    if (Result<> read = readGenerationConfig(generation.string(), config); !read)
      return tl::unexpected(read.error());
  if (config.bos && !config.hasToken(*config.bos))
    config.bos.reset();
  checkEnds(keys, config);
  if (Result<> status = keys.status(); !status)
    return tl::unexpected(status.error());
  return config;
}

} // namespace sinter
