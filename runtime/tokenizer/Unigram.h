// SPDX-License-Identifier: Apache-2.0
// The unigram model: of all ways to write a piece as tokens, the one with the greatest sum of
// log-probabilities.
#ifndef SINTER_RUNTIME_TOKENIZER_UNIGRAM_H
#define SINTER_RUNTIME_TOKENIZER_UNIGRAM_H

#include "runtime/tokenizer/Trie.h"
#include "runtime/tokenizer/Vocabulary.h"
#include <vector>

namespace sinter {

class UnigramModel {
public:
  UnigramModel() = default;
  explicit UnigramModel(const BlobHeader *blob);

  /// Working memory of one thread.
  struct Scratch {
    struct Node {
      double score;
      uint32_t start; // where the last token of the best path begins
      uint32_t id;
      bool reached;
    };
    std::vector<Node> nodes; // by position in bytes
    std::vector<Node> path;
  };

  /// Appends the ids of one piece.
  void encode(std::string_view piece, Scratch &scratch, std::vector<int32_t> &ids) const;

private:
  void addToken(std::string_view text, std::vector<int32_t> &ids) const;

  Vocabulary vocabulary;
  Trie trie;
  const TokenizerConfig *config = nullptr;
  std::span<const double> scores;
  const int32_t *byteIds = nullptr;
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_UNIGRAM_H
