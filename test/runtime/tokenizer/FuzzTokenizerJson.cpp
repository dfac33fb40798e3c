// SPDX-License-Identifier: Apache-2.0
// Any bytes as tokenizer.json: reading must end in an error or a description; one that becomes tables must
// encode.
#include "frontend/tokenizer/TokenizerJson.h"
#include "runtime/tokenizer/Tokenizer.h"

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<Json> json = Json::parse(std::string(reinterpret_cast<const char *>(data), size), "fuzz");
  if (!json)
    return 0;
  Result<TokenizerSpec> spec = readTokenizerJson(json->root());
  if (!spec)
    return 0;
  (void)applyTokenizerConfig(*spec, json->root());
  Result<std::vector<uint8_t>> tables = buildTokenizerTables(*spec);
  if (!tables)
    return 0;
  Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(*tables)));
  if (!tokenizer)
    __builtin_trap(); // the builder has opened them
  tokenizer->decode(tokenizer->encode("Hello \u4E2D\u6587 <s> 1.5\n\n  x"));
  return 0;
}
