// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back, exactly as Hugging Face's tokenizers do it, from tables that frontend/tokenizer
// made at compile time. The tables are used where they lie: opening costs neither parsing nor copying.
#ifndef SINTER_RUNTIME_TOKENIZER_TOKENIZER_H
#define SINTER_RUNTIME_TOKENIZER_TOKENIZER_H

#include "runtime/Result.h"
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

class Tokenizer {
public:
  /// Opens compiled tables; `blob` must be aligned to 8 bytes and outlive the tokenizer. An error says what
  /// in it is damaged. Any bytes may be given: what open() accepts is safe to use.
  static Result<Tokenizer> open(std::span<const std::byte> blob);
  Tokenizer(Tokenizer &&) noexcept;
  Tokenizer &operator=(Tokenizer &&) noexcept;
  ~Tokenizer();

  /// The ids of `text`. Ill-formed UTF-8 is read as Python's errors='replace' does. `addSpecial`: with what
  /// the post-processor puts around a text (a begin token, ...). `parseSpecial`: text that spells a special
  /// token is that token; otherwise it is plain text. At most 2 GiB of text. Safe from several threads at
  /// once.
  std::vector<int32_t> encode(std::string_view text, bool addSpecial = true, bool parseSpecial = true) const;
  /// The same, appended.
  void encode(std::string_view text, bool addSpecial, bool parseSpecial, std::vector<int32_t> &ids) const;

  /// The tokens' bytes as the decoder joins them. Unlike in Python, half a character is not replaced by
  /// U+FFFD. Ids that no token has are left out.
  std::string decode(std::span<const int32_t> ids, bool skipSpecial = false) const;

  /// The bytes a token adds to a text that it does not begin.
  std::string tokenBytes(int32_t id) const;

  /// One more than the largest id.
  int32_t size() const;
  bool isSpecial(int32_t id) const;
  /// The id of the token that is written so in the vocabulary or is an added token with this text.
  std::optional<int32_t> find(std::string_view token) const;
  /// The ids the model file names for these, or -1.
  int32_t bos() const;
  int32_t eos() const;

private:
  friend class StreamDecoder;
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

/// Decodes one token at a time and gives out complete characters only; ill-formed bytes become U+FFFD as in
/// Python's incremental decoder. The tokenizer must outlive it.
class StreamDecoder {
public:
  explicit StreamDecoder(const Tokenizer &tokenizer, bool skipSpecial = false);
  /// What can be shown after this token; valid until the next call.
  std::string_view push(int32_t id);
  /// The rest: bytes of a character that never became complete, as U+FFFD.
  std::string_view flush();

private:
  std::string_view give(bool all);

  const Tokenizer &tokenizer;
  bool skipSpecial;
  bool first = true;
  uint32_t stripped = 0;
  bool stripping = true;
  int32_t held = -1; // a token whose bytes depend on whether another follows
  std::string raw, shown;
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_TOKENIZER_H
