// SPDX-License-Identifier: Apache-2.0
// Any bytes as tokenizer.model: reading must end in an error or a description; one that becomes tables must
// encode.
#include "frontend/tokenizer/SentencePiece.h"
#include "runtime/tokenizer/Tokenizer.h"

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Result<TokenizerSpec> spec = readSentencePiece(std::as_bytes(std::span(data, size)), "fuzz");
  if (!spec)
    return 0;
  Result<std::vector<uint8_t>> tables = buildTokenizerTables(*spec);
  if (!tables)
    return 0;
  Result<Tokenizer> tokenizer = Tokenizer::open(std::as_bytes(std::span(*tables)));
  if (!tokenizer)
    __builtin_trap(); // the builder has opened them
  tokenizer->decode(tokenizer->encode("Hello \u4E2D\u6587 <s> 1.5\n\n  x"));
  return 0;
}
