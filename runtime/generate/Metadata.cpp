// SPDX-License-Identifier: Apache-2.0
// Reads the metadata; every key is optional.
#include "runtime/generate/Metadata.h"
#include <nlohmann/json.hpp>

namespace sinter {

namespace {

using Json = nlohmann::ordered_json;

/// Reads keys of one object into variables; the first wrong type is kept as the error.
class Reader {
public:
  Reader(const Json &object, std::string prefix) : object(object), prefix(std::move(prefix)) {}

  template <typename Number> void number(const char *key, Number &out) {
    if (const Json *value = find(key)) {
      if (!value->is_number())
        return wrong(key, "a number", *value);
      out = value->get<Number>();
    }
  }
  void string(const char *key, std::string &out) {
    if (const Json *value = find(key)) {
      if (!value->is_string())
        return wrong(key, "a string", *value);
      out = value->get<std::string>();
    }
  }
  const Json *objectOf(const char *key) {
    const Json *value = find(key);
    if (value && !value->is_object()) {
      wrong(key, "an object", *value);
      return nullptr;
    }
    return value;
  }
  const Json *find(const char *key) const {
    const auto at = object.find(key);
    return at == object.end() || at->is_null() ? nullptr : &*at;
  }
  void wrong(const char *key, const char *expected, const Json &value) {
    if (error.empty())
      error = fmt::format("metadata, key {}{}: expected {}, found {}", prefix, key, expected, value.type_name());
  }

  std::string error;

private:
  const Json &object;
  std::string prefix;
};

} // namespace

Result<Metadata> parseMetadata(std::string_view text) {
  Metadata metadata;
  if (text.empty())
    return metadata;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object())
    return fail("metadata: expected a JSON object, found {}", json.is_discarded() ? "malformed JSON" : json.type_name());
  Reader top(json, "");
  top.string("name", metadata.name);
  top.string("architecture", metadata.architecture);
  top.string("compiler", metadata.compiler);
  top.string("weights_file", metadata.weightsFile);
  top.string("chat_template", metadata.chatTemplate);
  top.number("parameters", metadata.parameters);
  if (const Json *value = top.find("bos")) {
    int32_t id = 0;
    top.number("bos", id);
    metadata.bos = id;
  }
  if (const Json *value = top.find("eos")) {
    for (const Json &each : value->is_array() ? *value : Json::array({*value}))
      if (each.is_number_integer())
        metadata.eos.push_back(each.get<int32_t>());
      else
        top.wrong("eos", "token ids", each);
  }
  if (const Json *value = top.objectOf("dtypes"))
    for (const auto &[key, bytes] : value->items()) {
      uint64_t count = 0;
      Reader(*value, "dtypes.").number(key.c_str(), count);
      metadata.dtypes.emplace_back(key, count);
    }
  if (const Json *value = top.objectOf("special_tokens"))
    for (const auto &[key, name] : value->items())
      if (name.is_string())
        metadata.specialTokens.emplace_back(key, name.get<std::string>());
  if (const Json *value = top.objectOf("sampling")) {
    Reader sampling(*value, "sampling.");
    sampling.number("temperature", metadata.sampling.temperature);
    sampling.number("top_k", metadata.sampling.topK);
    sampling.number("top_p", metadata.sampling.topP);
    sampling.number("min_p", metadata.sampling.minP);
    sampling.number("repetition_penalty", metadata.sampling.repeatPenalty);
    if (!sampling.error.empty())
      return std::unexpected(Error{sampling.error});
  }
  if (!top.error.empty())
    return std::unexpected(Error{top.error});
  return metadata;
}

} // namespace sinter
