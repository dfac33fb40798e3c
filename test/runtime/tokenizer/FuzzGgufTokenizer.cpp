// SPDX-License-Identifier: Apache-2.0
// Any bytes as a GGUF file whose metadata holds a tokenizer: an error, or a tokenizer that encodes.
#include "frontend/tokenizer/GgufTokenizer.h"
#include "runtime/tokenizer/Tokenizer.h"

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const Result<Gguf> file = Gguf::parse(std::as_bytes(std::span(data, size)), "fuzz");
  if (!file)
    return 0;
  const Result<TokenizerSpec> spec = readGgufTokenizer(*file);
  if (!spec)
    return spec.error().message.empty() ? (__builtin_trap(), 0) : 0;
  const Result<std::vector<uint8_t>> tables = buildTokenizerTables(*spec);
  if (!tables)
    return 0;
  const Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(*tables)));
  if (!tokenizer)
    __builtin_trap(); // the builder has opened them
  tokenizer->decode(tokenizer->encode("Hello <s> \u4E2D 12\n x", true, true));
  return 0;
}
