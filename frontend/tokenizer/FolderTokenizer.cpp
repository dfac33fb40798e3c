// SPDX-License-Identifier: Apache-2.0
// Which of the files of a folder make its tokenizer.
#include "frontend/tokenizer/FolderTokenizer.h"
#include "frontend/tokenizer/SentencePiece.h"
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/files/MappedFile.h"
#include "runtime/files/Presence.h"

namespace sinter {

namespace {

/// `config`: of tokenizer_config.json.
Result<TokenizerSpec> readMain(const std::string &folder, JsonValue config) {
  std::string json = folder + "/tokenizer.json", model = folder + "/tokenizer.model";
  if (isThere(json)) {
    Result<Json> document = Json::read(json);
    return document ? readTokenizerJson(document->root()) : tl::unexpected(document.error());
  }
  if (isThere(model)) {
    Result<std::optional<PrependScheme>> scheme = readPrependScheme(config);
    if (!scheme)
      return tl::unexpected(scheme.error());
    Result<MappedFile> file = MappedFile::open(model);
    return file ? readSentencePiece(file->bytes(), model, *scheme) : tl::unexpected(file.error());
  }
  return fail("{}: expected a tokenizer.json or a tokenizer.model, found neither", folder);
}

} // namespace

Result<TokenizerSpec> readFolderTokenizer(const std::string &folder) {
  const auto readIfThere = [&](const char *name, bool isRead = true) {
    const std::string path = folder + "/" + name;
    return isRead && isThere(path) ? Json::read(path) : Json::parse("{}", path);
  };
  Result<Json> document = readIfThere("tokenizer_config.json");
  if (!document)
    return tl::unexpected(document.error());
  const bool hasOlder =
      takesOlderFiles(document->root()); // which are not looked at otherwise, damaged or not
  Result<Json> names = readIfThere("special_tokens_map.json", hasOlder);
  if (!names)
    return tl::unexpected(names.error());
  Result<Json> more = readIfThere("added_tokens.json", hasOlder);
  if (!more)
    return tl::unexpected(more.error());
  Result<TokenizerSpec> spec = readMain(folder, document->root());
  if (!spec)
    return spec;
  if (Result<> done = applyTokenizerConfig(*spec, document->root(), names->root(), more->root()); !done)
    return tl::unexpected(done.error());
  if (!isThere(folder + "/tokenizer.json"))
    if (Result<> done = applyTokensAround(*spec, document->root()); !done)
      return tl::unexpected(done.error());
  return spec;
}

} // namespace sinter
