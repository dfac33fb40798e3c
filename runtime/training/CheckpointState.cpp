// SPDX-License-Identifier: Apache-2.0
// state.json of a checkpoint: a JSON object whose last member is the checksum of the text before it.
#include "runtime/data/Hash.h"
#include "runtime/files/Json.h"
#include "runtime/files/JsonWriter.h"
#include "runtime/files/MappedFile.h"
#include "runtime/training/Checkpoint.h"

#include <charconv>

namespace sinter::training {
namespace {

constexpr int64_t version = 1;
constexpr std::string_view checksumKey = ",\"checksum\":\"";

Result<uint64_t> hexOf(const JsonValue &value) {
  Result<std::string_view> text = value.as<std::string_view>();
  if (!text)
    return tl::unexpected(text.error());
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number, 16);
  if (error != std::errc() || end != text->data() + text->size())
    return fail("{}: expected 16 hexadecimal digits, found {}", value.where(), value.describe());
  return number;
}

template <typename T> Result<> take(const JsonValue &object, std::string_view key, T &out) {
  Result<T> value = object.get<T>(key);
  if (!value)
    return tl::unexpected(value.error());
  out = std::move(*value);
  return {};
}

} // namespace

std::string stateText(const StoredState &stored) {
  const RunState &state = stored.state;
  JsonWriter json;
  json.beginObject()
      .key("version")
      .value(version)
      .key("step")
      .value(state.step)
      .key("updates")
      .value(state.updates);
  json.key("data").value(fmt::format("{:016x}", state.data));
  if (state.base != 0)
    json.key("base").value(fmt::format("{:016x}", state.base));
  json.key("recent_loss").value(state.recentLoss).key("recent_steps").value(state.recentSteps);
  json.key("val_loss");
  state.validation ? json.value(*state.validation) : json.null();
  json.key("flags").beginObject();
  for (const auto &[name, value] : state.flags)
    json.key(name).value(value);
  json.endObject().key("files").beginObject();
  for (const auto &[name, checksum] : stored.checksums)
    json.key(name).value(fmt::format("{:016x}", checksum));
  json.endObject().endObject();
  std::string text = json.take();
  text.pop_back(); // the brace
  return fmt::format("{}{}{:016x}\"}}\n", text, checksumKey, data::hash64(text));
}

Result<StoredState> parseState(std::string_view text, const std::string &name) {
  const size_t end = text.rfind(checksumKey);
  if (end == text.npos)
    return fail("{}: expected an object whose last member is its checksum, found none: the file is damaged",
                name);
  Result<Json> json = Json::parse(std::string(text), name);
  if (!json)
    return tl::unexpected(json.error());
  const JsonValue root = json->root();
  Result<uint64_t> checksum = hexOf(root["checksum"]);
  if (!checksum)
    return tl::unexpected(checksum.error());
  if (uint64_t found = data::hash64(text.substr(0, end)); found != *checksum)
    return fail("{}: expected checksum {:016x}, found {:016x}: the file is damaged", name, *checksum, found);
  int64_t found = 0;
  StoredState stored;
  RunState &state = stored.state;
  if (Result<> read = take(root, "version", found); !read)
    return tl::unexpected(read.error());
  if (found != version)
    return fail("{}: expected version {}, found {}", root["version"].where(), version, found);
  for (Result<> read :
       {take(root, "step", state.step), take(root, "updates", state.updates),
        take(root, "recent_loss", state.recentLoss), take(root, "recent_steps", state.recentSteps)})
    if (!read)
      return tl::unexpected(read.error());
  if (state.step < 0 || state.updates < 0 || state.updates > state.step)
    return fail("{}: expected steps, and at most as many updates, found {} and {}", name, state.step,
                state.updates);
  Result<uint64_t> data = hexOf(root["data"]);
  if (!data)
    return tl::unexpected(data.error());
  state.data = *data;
  if (JsonValue base = root["base"]; base.hasValue()) {
    Result<uint64_t> hash = hexOf(base);
    if (!hash)
      return tl::unexpected(hash.error());
    state.base = *hash;
  }
  Result<std::optional<double>> validation = root.find<double>("val_loss");
  if (!validation)
    return tl::unexpected(validation.error());
  state.validation = *validation;
  for (const JsonValue flag : root["flags"]) {
    Result<std::string> value = flag.as<std::string>();
    if (!value)
      return tl::unexpected(value.error());
    state.flags.emplace_back(flag.key(), std::move(*value));
  }
  for (const JsonValue file : root["files"]) {
    Result<uint64_t> sum = hexOf(file);
    if (!sum)
      return tl::unexpected(sum.error());
    stored.checksums.emplace_back(file.key(), *sum);
  }
  return stored;
}

Result<StoredState> readState(const std::string &folder) {
  Result<MappedFile> file = MappedFile::open(folder + "/state.json");
  if (!file)
    return tl::unexpected(file.error());
  return parseState(file->text(), file->path());
}

} // namespace sinter::training
