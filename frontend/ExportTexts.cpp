// SPDX-License-Identifier: Apache-2.0
// config.json and generation_config.json.
#include "frontend/ExportConfig.h"
#include "frontend/ExportParts.h"

#include <algorithm>

namespace sinter {
namespace {

/// `name` from a token's number in the tokenizer's metadata; null where there is none.
Result<> addToken(JsonWriter &json, std::string_view name, const Gguf &gguf, std::string_view key) {
  Result<std::optional<int64_t>> token = gguf.findAs<int64_t>(key);
  if (!token)
    return tl::unexpected(token.error());
  json.key(name);
  *token ? json.value(**token) : json.null();
  return {};
}

} // namespace

Result<std::string> makeConfig(const Gguf &gguf, const Architecture &architecture) {
  const GgufTensor *embedding = gguf.tensor("token_embd.weight");
  if (!embedding)
    return fail("{}: expected tensor 'token_embd.weight', found none of this name", gguf.path());
  ConfigBuilder config(gguf, *gguf.get<std::string>("general.architecture"));
  JsonWriter &json = config.json;
  json.beginObject().key("architectures").beginArray().value(architecture.className).endArray();
  json.key("model_type").value(architecture.name);
  json.key("torch_dtype").value("float32");
  json.key("vocab_size").value(embedding->shape.front());
  json.key("tie_word_embeddings").value(gguf.tensor("output.weight") == nullptr);
  for (auto [name, key] : {std::pair("bos_token_id", "tokenizer.ggml.bos_token_id"),
                           std::pair("eos_token_id", "tokenizer.ggml.eos_token_id"),
                           std::pair("pad_token_id", "tokenizer.ggml.padding_token_id")})
    if (Result<> added = addToken(json, name, gguf, key); !added)
      return tl::unexpected(added.error());
  architecture.writeHuggingFace(config);
  if (config.error)
    return tl::unexpected(*config.error);
  return json.endObject().take() + "\n";
}

Result<std::string> makeGenerationConfig(const Gguf &gguf) {
  JsonWriter json(2);
  json.beginObject();
  if (Result<> added = addToken(json, "bos_token_id", gguf, "tokenizer.ggml.bos_token_id"); !added)
    return tl::unexpected(added.error());
  std::vector<int64_t> ends;
  for (const char *key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {
    Result<std::optional<int64_t>> token = gguf.findAs<int64_t>(key);
    if (!token)
      return tl::unexpected(token.error());
    if (*token && std::ranges::find(ends, **token) == ends.end())
      ends.push_back(**token);
  }
  json.key("eos_token_id").beginArray();
  for (int64_t end : ends)
    json.value(end);
  return json.endArray().endObject().take() + "\n";
}

} // namespace sinter
