// SPDX-License-Identifier: Apache-2.0
// From ids back to bytes: a list of steps, each as Hugging Face's decoder of that name does it, but half a
// character stays the bytes it is.
#ifndef SINTER_RUNTIME_TOKENIZER_DECODER_H
#define SINTER_RUNTIME_TOKENIZER_DECODER_H

#include "runtime/tokenizer/Vocabulary.h"
#include <string>

namespace sinter {

class Decoder {
public:
  Decoder() = default;
  /// An error if a step is unknown or stands where it is not supported.
  static Result<Decoder> open(const BlobHeader *blob);

  /// Where in a text the next token stands.
  struct State {
    bool first = true;
    uint32_t stripped = 0; // characters that a Strip behind Fuse has taken from the front
    bool stripping = true;
  };
  /// Appends a token's bytes. `last`: no token follows (matters only if dependsOnLast()).
  void append(uint32_t id, bool last, State &state, std::string &out) const;
  bool dependsOnLast() const { return lastMatters; }

private:
  void applyToToken(const Step &step, bool first, bool last, std::string &token) const;

  Vocabulary vocabulary;
  std::span<const Step> steps;
  std::span<const char> strings;
  bool byteStrings = false; // token strings are bytes already
  bool joinSpaces = false;
  bool lastMatters = false;
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_DECODER_H
