// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding: a word becomes symbols (bytes or characters), then the pair of neighbours that merges
// first, leftmost among equals, is joined until none is left. Exactly Hugging Face's BPE without dropout.
#ifndef SINTER_RUNTIME_TOKENIZER_BPE_H
#define SINTER_RUNTIME_TOKENIZER_BPE_H

#include "runtime/tokenizer/Vocabulary.h"
#include "runtime/tokenizer/WordCache.h"
#include <string>
#include <vector>

namespace sinter {

/// The read-only tables, shared by all threads.
class BpeModel {
public:
  BpeModel() = default;
  explicit BpeModel(const BlobHeader *blob);

  /// Working memory of one thread.
  struct Scratch {
    struct Symbol {
      int32_t id;
      uint32_t begin, end; // bytes of the word
      int32_t previous, next;
      uint32_t result; // of the merge with the next symbol
      uint64_t key;    // of that merge
      bool fixed; // an unknown character or a byte token: its string is not its text, it merges with nothing
    };
    struct Candidate {
      uint64_t key;
      uint32_t position;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> heap;
    std::string affixed;
    WordCache<16, 3, 1 << 14> shortWords;
    WordCache<40, 5, 1 << 12> longWords;
  };

  /// Appends the ids of one word (a piece of pre-tokenised text). `textEnd`: bytes up to there may be read.
  void encode(std::string_view word, const char *textEnd, Scratch &scratch, std::vector<int32_t> &ids) const;

  /// The same by merging alone, without looking the word up anywhere.
  void merge(std::string_view word, Scratch &scratch, std::vector<int32_t> &ids) const;

private:
  void encodeWhole(std::string_view word, const char *textEnd, bool part, Scratch &scratch,
                   std::vector<int32_t> &ids) const;
  int32_t findWhole(std::string_view word, bool part) const;
  void makeSymbols(std::string_view word, std::vector<Scratch::Symbol> &symbols, std::string &affixed) const;
  bool addByteTokens(std::string_view text, uint32_t begin, std::vector<Scratch::Symbol> &symbols) const;
  /// Whether a byte has neither a token nor an unknown one: it vanishes, and its neighbours may be merged.
  bool isDropped(char byte) const;
  /// Whether no token can reach over the place between two characters.
  bool mayCut(uint32_t before, char lastByte, uint32_t after, char firstByte) const;

  /// Order (smaller first) and result of merging two neighbours; the key is emptyMerge if they do not merge.
  struct Merge {
    uint64_t key;
    uint32_t result;
  };
  Merge findMerge(const Scratch::Symbol &left, const Scratch::Symbol &right, std::string_view word) const;
  void mergeShort(std::string_view word, std::vector<Scratch::Symbol> &symbols) const;
  void mergeLong(std::string_view word, Scratch &scratch) const;

  Vocabulary vocabulary;
  const TokenizerConfig *config = nullptr;
  std::span<const uint64_t> slots;
  std::span<const uint32_t> results;
  std::span<const uint32_t> ranks;
  std::span<const uint64_t> adjacent;
  const int32_t *byteIds = nullptr;
  std::string_view wordPrefix, wordSuffix;
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_BPE_H
