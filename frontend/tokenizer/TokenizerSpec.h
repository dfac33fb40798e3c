// SPDX-License-Identifier: Apache-2.0
// What a tokenizer does, whatever file it was read from: the meeting point between the readers
// (tokenizer.json, tokenizer.model, GGUF metadata) and the tables an executable carries.
#ifndef SINTER_FRONTEND_TOKENIZER_TOKENIZERSPEC_H
#define SINTER_FRONTEND_TOKENIZER_TOKENIZERSPEC_H

#include "runtime/tokenizer/Blob.h"
#include <optional>
#include <string>
#include <vector>

namespace sinter {

/// One normalizer, pre-tokenizer or decoder.
struct StepSpec {
  StepKind kind;
  uint32_t option = 0;
  std::string a, b;
};

struct AddedTokenSpec {
  std::string content;
  bool special = false;
  bool singleWord = false;
  bool stripLeft = false, stripRight = false;
  bool normalized = false; // looked for in normalised text
};

struct MergeSpec {
  uint32_t left, right, result; // ids
};

struct TokenizerSpec {
  ModelKind model = ModelKind::Bpe;
  /// The model's vocabulary by id, as tokenizer.json spells it (byte-level tokens in the byte alphabet);
  /// nothing where the model has no token.
  std::vector<std::optional<std::string>> tokens;
  /// BPE: the merges, first one first. If `ranks` is not empty there are none: whatever two neighbours make a
  /// token merge, smallest rank first, of equal ones the one with the longest left part.
  std::vector<MergeSpec> merges;
  std::vector<uint32_t> ranks;
  std::vector<double> scores; // Unigram: by id
  int32_t unknown = -1;
  bool byteFallback = false, ignoreMerges = false, fuseUnknown = false;
  std::string wordPrefix, wordSuffix; // continuing_subword_prefix, end_of_word_suffix

  /// In the order in which they were added; a token that the vocabulary lacks gets the next free id.
  std::vector<AddedTokenSpec> added;
  std::vector<StepSpec> normalizers, preTokenizers, decoders;
  std::string charsMap;                // for StepKind::CharsMap
  std::vector<uint32_t> before, after; // ids that the post-processor puts around a text
  std::string bos, eos, pad, unk;      // named by the file; empty if none

  /// Those as tokenizer_config.json and chat templates call them: ("bos_token", "<s>"), ...
  std::vector<std::pair<std::string, std::string>> namedTokens() const;
};

/// The tables for runtime/tokenizer, a block of bytes to be kept at an address that is a multiple of 16. An
/// error names what cannot be represented.
Result<std::vector<uint8_t>> buildTokenizerTables(const TokenizerSpec &spec, unsigned threads = 1);

/// Fills `ranks`, or `merges` where ranks cannot tell, with what transformers' generate_merges() makes of a
/// vocabulary with scores: all ways to put a token together from two, best score first.
void deriveMerges(TokenizerSpec &spec, const std::vector<double> &scores);

} // namespace sinter

#endif // SINTER_FRONTEND_TOKENIZER_TOKENIZERSPEC_H
