// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding: from counted words to a vocabulary and its merges, the same as Hugging Face's
// BpeTrainer finds (tokenizers 0.23), but with counts of 64 bits where its overflow at 2^31.
#ifndef SINTER_RUNTIME_DATA_BPETRAINER_H
#define SINTER_RUNTIME_DATA_BPETRAINER_H

#include "runtime/Result.h"
#include "runtime/data/WordCounts.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace sinter::data {

struct BpeOptions {
  size_t vocabularySize = 0; // tokens beside `special`
  std::vector<std::string> special;
  /// false: the alphabet is the 256 bytes. true: it is the characters that occur, and the vocabulary begins
  /// with a token for each byte ("<0x0A>") that stands in for characters it lacks.
  bool byteFallback = false;
  /// Byte fallback only: at most so many characters, the most frequent ones (of equal ones those with smaller
  /// codes); 0: all. What is left out is skipped while merges are sought, as in Hugging Face's trainer.
  size_t alphabetLimit = 0;
  uint64_t minFrequency = 0; // of a pair to be merged
  size_t memory = 0;         // bytes that may be used; 0: any
  std::function<void(size_t merges, size_t wanted)> progress;
};

struct BpeVocabulary {
  /// By id, spelt as in tokenizer.json: special tokens, the alphabet (GPT-2's characters for the 256 bytes by
  /// their codes; or byte tokens, then characters by code), what merges make.
  std::vector<std::string> tokens;
  std::vector<std::pair<uint32_t, uint32_t>> merges; // ids, first one first
  size_t special = 0;                                // how many of `tokens` are
};

/// Of pairs that occur equally often the one with the smaller ids is merged first. Ends early when no pair is
/// left. `words` is emptied on the way, to save memory. Fails when the alphabet does not fit in the
/// vocabulary or the words not in memory.
Result<BpeVocabulary> trainBpe(WordCounts words, const BpeOptions &options);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_BPETRAINER_H
