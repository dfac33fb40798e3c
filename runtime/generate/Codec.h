// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back, as the loop needs it. The model's tokenizer is one; tests have a simple one.
#ifndef SINTER_RUNTIME_GENERATE_CODEC_H
#define SINTER_RUNTIME_GENERATE_CODEC_H

#include "runtime/Result.h"
#include "runtime/abi.h"
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

/// Turns tokens into text piece by piece: what it gives out always ends at a character's end.
class TextStream {
public:
  virtual ~TextStream() = default;
  /// Appends the text that token `id` completes.
  virtual void push(int32_t id, std::string &out) = 0;
  /// Appends what is left; half a character becomes U+FFFD.
  virtual void flush(std::string &out) = 0;
};

class Codec {
public:
  virtual ~Codec() = default;
  /// With `addSpecial` the tokens that the tokenizer puts around a text are added.
  virtual Result<std::vector<int32_t>> encode(std::string_view text, bool addSpecial) const = 0;
  /// Exactly the tokens' bytes as the tokenizer's decoder joins them, special tokens as their text.
  virtual std::string decode(std::span<const int32_t> ids) const = 0;
  /// The bytes of one token within a text.
  virtual std::string tokenBytes(int32_t id) const = 0;
  /// With `special` special tokens appear as their text, else they are left out.
  virtual std::unique_ptr<TextStream> stream(bool special) const = 0;
};

using CodecOpener = Result<std::unique_ptr<Codec>> (*)(const sinter_model &model);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_CODEC_H
