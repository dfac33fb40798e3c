// SPDX-License-Identifier: Apache-2.0
// `sinter tokenizer train`: text in, a folder with tokenizer.json and tokenizer_config.json out.
#ifndef SINTER_RUNTIME_DATA_TRAINTOKENIZER_H
#define SINTER_RUNTIME_DATA_TRAINTOKENIZER_H

#include "runtime/data/BpeTrainer.h"
#include "runtime/data/Inputs.h"

namespace sinter::data {

/// How text is split before it is counted, named after the models that do so.
enum class Splitting { Gpt2, Llama3, Qwen2 };

struct TokenizerTraining {
  std::vector<Input> inputs;
  std::string field = "text"; // of .jsonl
  Splitting splitting = Splitting::Gpt2;
  BpeOptions bpe;
  size_t memory = size_t(2) << 30; // bytes
  unsigned threads = 1;
  /// Called now and then: what is done ("counting words", "merging"), how far, of how much (0: unknown).
  std::function<void(std::string_view what, uint64_t done, uint64_t of)> progress;
};

struct TrainedTokenizer {
  BpeVocabulary vocabulary;
  uint64_t bytes = 0;    // of text
  uint64_t words = 0;    // different ones
  uint64_t repaired = 0; // ill-formed parts of UTF-8, read as U+FFFD
  uint64_t badLines = 0; // lines of .jsonl without a text: skipped
  std::string firstBad;  // what was wrong with the first of them
  std::vector<std::string> notes;
};

/// Counts words on all cores and merges. A text file is one document, newlines included; qwen2 normalises it
/// to NFC first. The result depends neither on threads nor on where text was cut for them. Fails for what
/// cannot be read, for no text at all, and when `memory` is too small.
Result<TrainedTokenizer> trainTokenizer(const TokenizerTraining &training);

/// tokenizer.json.
std::string makeTokenizerJson(const BpeVocabulary &vocabulary, const TokenizerTraining &training);
/// tokenizer_config.json: "<|endoftext|>", or else the first special token, ends texts.
std::string makeTokenizerConfigJson(const BpeVocabulary &vocabulary);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_TRAINTOKENIZER_H
