// SPDX-License-Identifier: Apache-2.0
// config.json and generation_config.json to a ModelConfig.
#include "frontend/Architecture.h"
#include "frontend/ConfigKeys.h"
#include "runtime/files/Presence.h"

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

/// The description of the text model: the whole object, or `text_config` of a model that also sees or hears.
JsonValue textPart(JsonValue root) {
  JsonValue text = root["text_config"];
  return text.isObject() ? text : root;
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

Result<> readGenerationConfig(const std::string &path, ModelConfig &config) {
  Result<Json> json = Json::read(path);
  if (!json)
    return tl::unexpected(json.error());
  ConfigKeys keys(json->root());
  if (keys.value("eos_token_id").hasValue())
    config.eos = keys.ids("eos_token_id", {});
  if (keys.value("bos_token_id").hasValue())
    config.bos = keys.optionalInteger("bos_token_id", std::nullopt);
  GenerationDefaults &generation = config.generation;
  generation.temperature = keys.optionalReal("temperature", std::nullopt);
  generation.topP = keys.optionalReal("top_p", std::nullopt);
  generation.minP = keys.optionalReal("min_p", std::nullopt);
  generation.repetitionPenalty = keys.optionalReal("repetition_penalty", std::nullopt);
  generation.topK = keys.optionalInteger("top_k", std::nullopt);
  keys.check(generation.temperature.value_or(1) >= 0, "temperature", "a number of at least 0");
  keys.check(generation.topP.value_or(1) > 0 && generation.topP.value_or(1) <= 1, "top_p",
             "a number greater than 0, at most 1");
  keys.check(generation.minP.value_or(0) >= 0 && generation.minP.value_or(0) <= 1, "min_p",
             "a number from 0 to 1");
  keys.check(generation.repetitionPenalty.value_or(1) > 0, "repetition_penalty", "a number greater than 0");
  keys.check(generation.topK.value_or(0) >= 0 && generation.topK.value_or(0) <= INT32_MAX, "top_k",
             "a number from 0 to 2147483647");
  return keys.status();
}

} // namespace

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
  ConfigKeys keys(textPart(root));
  keys.check(!keys.flag("is_encoder_decoder", false), "is_encoder_decoder", "false (a decoder)");
  (*architecture)->readHuggingFace(keys, config);
  keys.check(config.keyValueHeads == 0 || config.heads % config.keyValueHeads == 0, "num_key_value_heads",
             fmt::format("a divisor of the {} attention heads", config.heads));
  if (Result<> status = keys.status(); !status)
    return tl::unexpected(status.error());

  // An id that a file gives must be one of the vocabulary; the class's own default may be that of larger
  // models.
  auto isOutside = [&](int64_t id) { return id < 0 || id >= config.vocabulary; };
  if (!keys.value("eos_token_id").hasValue())
    std::erase_if(config.eos, isOutside);
  fs::path generation = path.parent_path() / "generation_config.json";
  if (isFolder && isThere(generation.string()))
    if (Result<> read = readGenerationConfig(generation.string(), config); !read)
      return tl::unexpected(read.error());
  if (config.bos && isOutside(*config.bos))
    config.bos.reset();
  for (int64_t id : config.eos)
    if (isOutside(id))
      return fail("{}: eos_token_id: expected ids below the vocabulary's {}, found {}", path.string(),
                  config.vocabulary, id);
  return config;
}

} // namespace sinter
