// SPDX-License-Identifier: Apache-2.0
// --tokenize and --detokenize: the tokenizer alone, without the model.
#include "runtime/files/Json.h"
#include "runtime/generate/Commands.h"
#include "runtime/generate/Output.h"
#include <iterator>
#include <unistd.h>

namespace sinter {

Result<void> runTokenize(const Setting &setting) {
  Result<std::unique_ptr<Codec>> codec = setting.openCodec(setting.model);
  if (!codec)
    return tl::unexpected(codec.error());
  const Result<std::string> text = inputText(setting.options);
  if (!text)
    return tl::unexpected(text.error());
  const Result<std::vector<int32_t>> ids = (*codec)->encode(*text, setting.options.special);
  if (!ids)
    return tl::unexpected(ids.error());
  std::string line = "[";
  for (size_t i = 0; i < ids->size(); ++i)
    fmt::format_to(std::back_inserter(line), "{}{}", i ? "," : "", (*ids)[i]);
  line += "]\n";
  Output out(STDOUT_FILENO);
  out.write(line);
  return out.status();
}

namespace {

/// A JSON array of token ids below `vocabulary`.
Result<std::vector<int32_t>> parseIdArray(std::string text, int64_t vocabulary) {
  const Result<Json> json = Json::parse(std::move(text), "standard input");
  if (!json)
    return tl::unexpected(json.error());
  if (!json->root().isArray())
    return fail("standard input: expected an array of token ids, found {}", json->root().describe());
  std::vector<int32_t> ids;
  ids.reserve(json->root().size());
  for (JsonValue element : json->root()) {
    const Result<int64_t> id = element.as<int64_t>();
    if (!id || *id < 0 || *id >= vocabulary)
      return fail("{}: expected token ids from 0 to {}, found {}", element.where(), vocabulary - 1,
                  element.describe());
    ids.push_back(int32_t(*id));
  }
  return ids;
}

} // namespace

Result<void> runDetokenize(const Setting &setting) {
  Result<std::unique_ptr<Codec>> codec = setting.openCodec(setting.model);
  if (!codec)
    return tl::unexpected(codec.error());
  Result<std::string> text = readWhole("-");
  if (!text)
    return tl::unexpected(text.error());
  const Result<std::vector<int32_t>> ids = parseIdArray(std::move(*text), setting.model.vocabulary);
  if (!ids)
    return tl::unexpected(ids.error());
  Output out(STDOUT_FILENO);
  out.write((*codec)->decode(*ids));
  return out.status();
}

} // namespace sinter
