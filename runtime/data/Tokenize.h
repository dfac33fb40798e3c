// SPDX-License-Identifier: Apache-2.0
// `sinter data tokenize`: documents into token shards.
#ifndef SINTER_RUNTIME_DATA_TOKENIZE_H
#define SINTER_RUNTIME_DATA_TOKENIZE_H

#include "runtime/data/Inputs.h"
#include "runtime/data/Tally.h"
#include "runtime/data/TokenizerFiles.h"
#include "runtime/tokenizer/Tokenizer.h"

#include <functional>

namespace sinter::data {

struct TokenizeOptions {
  std::vector<Input> train, validation;
  std::string field = "text";
  std::string output;             // folder
  uint64_t tokenizerChecksum = 0; // of tokenizer.json
  NamedTexts tokenizerFiles;      // go beside the shards, so that training can give them to its model
  uint64_t shardTokens = 64 << 20;
  size_t memory = size_t(2) << 30;
  unsigned threads = 1;
  std::function<void(std::string_view what, uint64_t done, uint64_t of)> progress;
};

/// Writes the shards of TokenShards.h. A document is what the tokenizer makes of it with its special tokens
/// around it, then the end token, once; text that spells a special token is plain text. An interrupted run
/// goes on behind its last finished shard. Fails for a tokenizer without an end token, unreadable input, a
/// folder that holds other files, and for no documents. The tally: "train tokens", "train documents", "train
/// bytes", the same for "val".
Result<Tally> tokenizeData(const Tokenizer &tokenizer, const TokenizeOptions &options);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_TOKENIZE_H
