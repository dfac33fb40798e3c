// SPDX-License-Identifier: Apache-2.0
// Reads the metadata; every key is optional.
#include "runtime/generate/Metadata.h"
#include "runtime/files/Json.h"
#include "runtime/generate/SamplingRanges.h"
#include <limits>
#include <type_traits>

namespace sinter {

namespace {

template <typename T> struct Unwrapped {
  using type = T;
};
template <typename T> struct Unwrapped<std::optional<T>> {
  using type = T;
};

/// Reads members of one object into variables and keeps the first error.
class Reader {
public:
  explicit Reader(JsonValue object) : object(object) {}

  template <typename Stored, typename T> void read(const char *key, T &out) {
    const Result<std::optional<Stored>> value = object.find<Stored>(key);
    if (!value)
      note(value.error());
    else if (*value)
      store(object[key], **value, out);
  }
  /// A number of the range.
  template <typename T> void read(const char *key, T &out, sampling::Range<T> range) {
    T number = out;
    read<std::conditional_t<std::is_integral_v<T>, int64_t, double>>(key, number);
    if (range.contains(number))
      out = number;
    else
      note({fmt::format("{}: expected a number from {} to {}, found {}", object[key].where(),
                        double(range.least), double(range.most), number)});
  }
  /// Integers that do not fit are errors.
  template <typename Stored, typename T> void store(JsonValue where, const Stored &value, T &out) {
    if constexpr (std::is_integral_v<Stored>) {
      using Limits = std::numeric_limits<typename Unwrapped<T>::type>;
      if (!std::in_range<typename Unwrapped<T>::type>(value))
        return note({fmt::format("{}: expected a whole number from {} to {}, found {}", where.where(),
                                 Limits::min(), Limits::max(), value)});
    }
    out = T(value);
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
  reader.read<std::string>("emulator_folder", metadata.emulatorFolder);
  reader.read<std::string>("chat_template", metadata.chatTemplate);
  reader.read<int64_t>("parameters", metadata.parameters);
  reader.read<int64_t>("bos", metadata.bos);
  std::vector<int64_t> eos;
  reader.read<std::vector<int64_t>>("eos", eos);
  for (int64_t id : eos)
    reader.store(root["eos"], id, metadata.eos.emplace_back());
  if (const JsonValue dtypes = root["dtypes"]; dtypes.isObject())
    for (JsonValue bytes : dtypes) {
      if (const Result<int64_t> count = bytes.as<int64_t>())
        reader.store(bytes, *count, metadata.dtypes.emplace_back(bytes.key(), 0).second);
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
  Reader defaults(root["sampling"]);
  defaults.read("temperature", metadata.sampling.temperature, sampling::temperature);
  defaults.read("top_k", metadata.sampling.topK, sampling::topK);
  defaults.read("top_p", metadata.sampling.topP, sampling::topP);
  defaults.read("min_p", metadata.sampling.minP, sampling::minP);
  defaults.read("repetition_penalty", metadata.sampling.repeatPenalty, sampling::repeatPenalty);
  if (!defaults.error.message.empty())
    reader.note(defaults.error);
  if (!reader.error.message.empty())
    return tl::unexpected(reader.error);
  return metadata;
}

} // namespace sinter
