// SPDX-License-Identifier: Apache-2.0
// Reads the metadata; every key is optional.
#include "runtime/generate/Metadata.h"
#include "runtime/files/Json.h"

namespace sinter {

namespace {

/// Reads members of one object into variables and keeps the first error.
class Reader {
public:
  explicit Reader(JsonValue object) : object(object) {}

  template <typename Stored, typename T> void read(const char *key, T &out) {
    const Result<std::optional<Stored>> value = object.find<Stored>(key);
    if (!value)
      note(value.error());
    else if (*value)
      out = T(**value);
  }
  void note(const Error &found) {
    if (error.message.empty())
      error = found;
  }

  Error error;

private:
  JsonValue object;
};

} // namespace

Result<Metadata> parseMetadata(std::string_view text) {
  Metadata metadata;
  if (text.empty())
    return metadata;
  const Result<Json> json = Json::parse(std::string(text), "metadata");
  if (!json)
    return tl::unexpected(json.error());
  const JsonValue root = json->root();
  if (!root.isObject())
    return fail("metadata: expected an object, found {}", root.describe());
  Reader reader(root);
  reader.read<std::string>("name", metadata.name);
  reader.read<std::string>("architecture", metadata.architecture);
  reader.read<std::string>("compiler", metadata.compiler);
  reader.read<std::string>("weights_file", metadata.weightsFile);
  reader.read<std::string>("chat_template", metadata.chatTemplate);
  reader.read<int64_t>("parameters", metadata.parameters);
  reader.read<int64_t>("bos", metadata.bos);
  std::vector<int64_t> eos;
  reader.read<std::vector<int64_t>>("eos", eos);
  metadata.eos.assign(eos.begin(), eos.end());
  if (const JsonValue dtypes = root["dtypes"]; dtypes.isObject())
    for (JsonValue bytes : dtypes) {
      if (const Result<int64_t> count = bytes.as<int64_t>())
        metadata.dtypes.emplace_back(bytes.key(), uint64_t(*count));
      else
        reader.note(count.error());
    }
  if (const JsonValue names = root["special_tokens"]; names.isObject())
    for (JsonValue name : names) {
      if (const Result<std::string> value = name.as<std::string>())
        metadata.specialTokens.emplace_back(name.key(), *value);
      else
        reader.note(value.error());
    }
  Reader sampling(root["sampling"]);
  sampling.read<double>("temperature", metadata.sampling.temperature);
  sampling.read<int64_t>("top_k", metadata.sampling.topK);
  sampling.read<double>("top_p", metadata.sampling.topP);
  sampling.read<double>("min_p", metadata.sampling.minP);
  sampling.read<double>("repetition_penalty", metadata.sampling.repeatPenalty);
  if (!sampling.error.message.empty())
    reader.note(sampling.error);
  if (!reader.error.message.empty())
    return tl::unexpected(reader.error);
  return metadata;
}

} // namespace sinter
