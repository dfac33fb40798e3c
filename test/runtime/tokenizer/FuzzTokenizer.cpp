// SPDX-License-Identifier: Apache-2.0
// Any bytes as a text for tokenizers of every kind (the first byte chooses one of the goldens'): ids are in
// range, pieces as they stream are the whole, and ids of any number decode.
#include "frontend/tokenizer/SentencePiece.h"
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/files/Utf8.h"
#include <algorithm>
#include <cstdlib>
#include <filesystem>

using namespace sinter;

namespace {

struct Opened {
  std::vector<uint8_t> tables;
  std::optional<Tokenizer> tokenizer;
};

std::vector<Opened> openGoldens() {
  std::vector<std::string> paths;
  for (const auto &entry :
       std::filesystem::directory_iterator(SINTER_SOURCE_DIR "/test/runtime/tokenizer/goldens"))
    paths.push_back(entry.path().string());
  std::sort(paths.begin(), paths.end());
  std::vector<Opened> opened;
  for (const std::string &path : paths) {
    const Result<Json> golden = Json::read(path);
    if (!golden || !golden->root().has("tokenizer"))
      continue; // the texts, and models of SentencePiece, which become the same tables
    Result<TokenizerSpec> spec = readTokenizerJson(golden->root()["tokenizer"]);
    Result<std::vector<uint8_t>> tables = spec ? buildTokenizerTables(*spec) : tl::unexpected(spec.error());
    if (!tables)
      std::abort();
    opened.push_back({std::move(*tables), std::nullopt});
    opened.back().tokenizer = std::move(*Tokenizer::open(std::as_bytes(std::span(opened.back().tables))));
  }
  return opened;
}

std::vector<Opened> opened;

} // namespace

// Takes longer than an input may.
extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  opened = openGoldens();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0)
    return 0;
  const Tokenizer &tokenizer = *opened[data[0] % opened.size()].tokenizer;
  const std::string_view text(reinterpret_cast<const char *>(data) + 1, size - 1);
  for (bool special : {false, true}) {
    const std::vector<int32_t> ids = tokenizer.encode(text, special, special);
    std::string pieces, whole;
    StreamDecoder stream(tokenizer);
    for (int32_t id : ids) {
      if (id < 0 || id >= tokenizer.size())
        std::abort();
      pieces += stream.push(id);
    }
    pieces += stream.flush();
    appendRepairedUtf8(whole, tokenizer.decode(ids));
    if (pieces != whole)
      std::abort();
  }
  std::vector<int32_t> any(text.size() / sizeof(int32_t));
  std::copy_n(text.data(), any.size() * sizeof(int32_t), reinterpret_cast<char *>(any.data()));
  (void)tokenizer.decode(any);
  StreamDecoder stream(tokenizer);
  for (int32_t id : any)
    (void)stream.push(id);
  (void)stream.flush();
  return 0;
}
