// SPDX-License-Identifier: Apache-2.0
// The tokens of a compiled tokenizer: string of an id, id of a string. Every index read from the block is
// checked.
#ifndef SINTER_RUNTIME_TOKENIZER_VOCABULARY_H
#define SINTER_RUNTIME_TOKENIZER_VOCABULARY_H

#include "runtime/tokenizer/Blob.h"

namespace sinter {

class Vocabulary {
public:
  Vocabulary() = default;
  explicit Vocabulary(const BlobHeader *blob)
      : config(section<TokenizerConfig>(blob, Section::Config).data()),
        offsets(section<uint32_t>(blob, Section::Offsets).data()),
        strings(section<char>(blob, Section::Strings)), flags(section<uint8_t>(blob, Section::Flags).data()),
        table(section<uint32_t>(blob, Section::Vocabulary)) {}

  uint32_t size() const { return config->tokens; }
  bool has(int64_t id) const { return id >= 0 && id < config->tokens && !(flags[id] & TokenAbsent); }
  uint8_t flagsOf(uint32_t id) const { return id < config->tokens ? flags[id] : uint8_t{TokenAbsent}; }

  /// The token's bytes; empty for an id that does not exist.
  std::string_view string(uint32_t id) const {
    if (id >= config->tokens)
      return {};
    uint32_t begin = offsets[id], end = offsets[id + 1];
    if (begin > end || end > strings.size())
      return {};
    return {strings.data() + begin, end - begin};
  }

  /// The id of a string of the model's vocabulary, or -1.
  int32_t find(std::string_view text) const {
    if (table.empty())
      return -1;
    uint32_t hash = hashString(text), tag = vocabularyTag(hash);
    size_t slot = slotOf(hash, table.size());
    for (uint32_t probe = 0; probe <= config->maxProbe; ++probe) {
      uint32_t found = table[slot];
      if (found == emptySlot)
        return -1;
      uint32_t id = found & (maxTokens - 1);
      if ((found ^ id) == tag && string(id) == text)
        return static_cast<int32_t>(id);
      if (++slot == table.size())
        slot = 0;
    }
    return -1;
  }

private:
  const TokenizerConfig *config = nullptr;
  const uint32_t *offsets = nullptr;
  std::span<const char> strings;
  const uint8_t *flags = nullptr;
  std::span<const uint32_t> table;
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_VOCABULARY_H
