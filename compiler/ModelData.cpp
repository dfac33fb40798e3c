// SPDX-License-Identifier: Apache-2.0
// Collects tokenizer, chat template and metadata from a model's files.
#include "compiler/ModelData.h"

#include "frontend/Architecture.h"
#include "frontend/tokenizer/FolderTokenizer.h"
#include "frontend/tokenizer/GgufTokenizer.h"
#include "runtime/chat/Template.h"
#include "runtime/files/Json.h"
#include "runtime/files/JsonWriter.h"
#include "runtime/files/MappedFile.h"
#include "runtime/files/Presence.h"

#include <filesystem>

namespace sinter {
namespace {

/// The file `name` of the model's folder, when there is one.
std::optional<std::string> fileOf(const Model &model, const char *name) {
  std::string path = (std::filesystem::path(model.path) / name).string();
  return isThere(path) ? std::optional(std::move(path)) : std::nullopt;
}

/// "chat_template" of tokenizer_config.json: a text, or a list of named ones, of which "default" counts.
Result<std::string> templateOfConfig(JsonValue value) {
  if (!value.isArray())
    return value.hasValue() ? value.as<std::string>() : Result<std::string>("");
  for (JsonValue element : value)
    if (Result<std::string> name = element.get<std::string>("name"); name && *name == "default")
      return element.get<std::string>("template");
  return fail("{}: expected a template named 'default', found none", value.where());
}

} // namespace

Result<TokenizerSpec> readTokenizer(const Model &model) {
  Result<TokenizerSpec> spec = model.gguf ? readGgufTokenizer(*model.gguf) : readFolderTokenizer(model.path);
  // Added tokens may lie beyond (Gemma 3's for images): an error only in a text that has one.
  int64_t rows = model.config.vocabulary;
  if (spec && static_cast<int64_t>(spec->tokens.size()) > rows)
    return fail(
        "{}: expected a tokenizer whose ids are below {}, the rows of the embedding, found id {} (\"{}\")",
        model.path, rows, spec->tokens.size() - 1, spec->tokens.back().value_or(""));
  return spec;
}

/// The text, and where it stands.
static Result<std::pair<std::string, std::string>> findChatTemplate(const Model &model) {
  using Found = std::pair<std::string, std::string>;
  if (model.gguf) {
    Result<std::string> text = model.gguf->getOr<std::string>("tokenizer.chat_template", "");
    return text ? Result<Found>(Found(*text, model.path + ": tokenizer.chat_template"))
                : tl::unexpected(text.error());
  }
  if (std::optional<std::string> path = fileOf(model, "chat_template.jinja")) {
    Result<MappedFile> file = MappedFile::open(*path);
    if (!file)
      return tl::unexpected(file.error());
    return Found(std::string(reinterpret_cast<const char *>(file->bytes().data()), file->bytes().size()),
                 *path);
  }
  std::optional<std::string> config = fileOf(model, "tokenizer_config.json");
  if (!config)
    return Found();
  Result<Json> json = Json::read(*config);
  if (!json)
    return tl::unexpected(json.error());
  Result<std::string> text = templateOfConfig(json->root()["chat_template"]);
  return text ? Result<Found>(Found(*text, *config + ": chat_template")) : tl::unexpected(text.error());
}

Result<std::string> readChatTemplate(const Model &model) {
  Result<std::pair<std::string, std::string>> found = findChatTemplate(model);
  if (!found)
    return tl::unexpected(found.error());
  const auto &[text, place] = *found;
  // Here, and not when somebody chats, is where a construct that is not supported is named.
  if (Result<chat::Template> parsed = chat::Template::parse(text); !parsed)
    return fail("{}: expected a template that can be rendered, found: {}", place, parsed.error().message);
  return text;
}

Result<ModelTokenizer> readModelTokenizer(const Model &model, unsigned threads) {
  Result<TokenizerSpec> spec = readTokenizer(model);
  if (!spec)
    return tl::unexpected(spec.error());
  Result<std::vector<uint8_t>> tables = buildTokenizerTables(*spec, threads);
  if (!tables)
    return tl::unexpected(tables.error());
  Result<std::string> chatTemplate = readChatTemplate(model);
  if (!chatTemplate)
    return tl::unexpected(chatTemplate.error());
  return ModelTokenizer{std::move(*spec), std::move(*tables), std::move(*chatTemplate)};
}

std::string makeMetadata(const Model &model, const TokenizerSpec &tokenizer, const std::string &chatTemplate,
                         const std::string &weightsFile, const std::string &emulatorFolder) {
  const ModelConfig &config = model.config;
  JsonWriter json;
  json.beginObject().key("name").value(config.name).key("architecture").value(config.architecture->name);
  json.key("compiler").value("sinter " SINTER_VERSION);
  uint64_t parameters = 0;
  std::vector<std::pair<std::string, uint64_t>> types;
  for (const Weight *weight : model.weights->claimed()) {
    parameters += weight->rowCount() * weight->rowLength();
    const BlockFormat *format = storageFormat(*weight, model.wanted);
    Result<int64_t> bytes = convertedSize(*weight, *format);
    auto place = std::ranges::find(types, format->name, &std::pair<std::string, uint64_t>::first);
    if (place == types.end())
      place = types.insert(types.end(), {std::string(format->name), 0});
    place->second += bytes.value_or(0);
  }
  json.key("parameters").value(parameters).key("dtypes").beginObject();
  for (const auto &[name, bytes] : types)
    json.key(name).value(bytes);
  json.endObject();
  if (config.bos)
    json.key("bos").value(*config.bos);
  json.key("eos").beginArray();
  for (int64_t id : config.eos)
    json.value(id);
  json.endArray();
  json.key("sampling").beginObject();
  const GenerationDefaults &defaults = config.generation;
  for (auto [name, value] :
       {std::pair("temperature", defaults.temperature), std::pair("top_p", defaults.topP),
        std::pair("min_p", defaults.minP), std::pair("repetition_penalty", defaults.repetitionPenalty)})
    if (value)
      json.key(name).value(*value);
  if (defaults.topK)
    json.key("top_k").value(*defaults.topK);
  json.endObject();
  if (!weightsFile.empty())
    json.key("weights_file").value(weightsFile);
  if (!emulatorFolder.empty())
    json.key("emulator_folder").value(emulatorFolder);
  if (!chatTemplate.empty())
    json.key("chat_template").value(chatTemplate);
  json.key("special_tokens").beginObject();
  for (const auto &[name, text] : tokenizer.namedTokens())
    json.key(name).value(text);
  json.endObject().endObject();
  return json.take();
}

} // namespace sinter
