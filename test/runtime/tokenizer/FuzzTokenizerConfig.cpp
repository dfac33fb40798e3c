// SPDX-License-Identifier: Apache-2.0
// Any bytes as tokenizer_config.json of a byte-level tokenizer, with members for the files that stood in its
// place: an error, or a tokenizer that encodes.
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/tokenizer/Tokenizer.h"

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const TokenizerSpec plain = *readTokenizerJson(
      Json::read(SINTER_SOURCE_DIR "/test/runtime/tokenizer/corpus/TokenizerJson/bytelevel")->root());
  const Result<Json> json = Json::parse(std::string(reinterpret_cast<const char *>(data), size), "fuzz");
  if (!json)
    return 0;
  TokenizerSpec spec = plain;
  if (!applyTokenizerConfig(spec, json->root(), json->root()["names"], json->root()["more"]))
    return 0;
  const Result<std::vector<uint8_t>> tables = buildTokenizerTables(spec);
  if (!tables)
    return 0;
  const Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(*tables)));
  if (!tokenizer)
    __builtin_trap(); // the builder has opened them
  tokenizer->decode(tokenizer->encode("Hello <s> \u4E2D\n x", true, true));
  return 0;
}
