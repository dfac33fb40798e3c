// SPDX-License-Identifier: Apache-2.0
// Finds added tokens in a text: the leftmost, and of those the longest, as Hugging Face's AddedVocabulary
// does.
#ifndef SINTER_RUNTIME_TOKENIZER_ADDEDTOKENS_H
#define SINTER_RUNTIME_TOKENIZER_ADDEDTOKENS_H

#include "runtime/tokenizer/Trie.h"

namespace sinter {

class AddedTokens {
public:
  AddedTokens() = default;
  AddedTokens(const BlobHeader *blob, Section trie);

  bool empty() const { return trie.empty(); }

  struct Match {
    size_t begin, end;
    uint32_t id;
  };
  /// The next token in `text` at or after `from`, with the white space that its flags take in; begin is
  /// text.size() if there is none. `taken`: where the match before ended. Special tokens are passed over (as
  /// text) unless `special`. `resume` is where to look on.
  Match find(std::string_view text, size_t from, size_t taken, bool special, size_t &resume) const;

private:
  size_t findStart(std::string_view text, size_t from) const;

  Trie trie;
  std::span<const AddedEntry> entries;
  bool starts[256] = {}; // bytes that some token starts with
  int onlyStart = -1;    // the byte, if it is one
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_ADDEDTOKENS_H
