// SPDX-License-Identifier: Apache-2.0
// Rewrites text before it is split: a list of steps, each as Hugging Face's normalizer of that name does it.
#ifndef SINTER_RUNTIME_TOKENIZER_NORMALIZER_H
#define SINTER_RUNTIME_TOKENIZER_NORMALIZER_H

#include "runtime/tokenizer/Blob.h"
#include "runtime/tokenizer/Regex.h"
#include <optional>
#include <string>
#include <vector>

namespace sinter {

class Growth;

class Normalizer {
public:
  Normalizer() = default;
  /// Adds what the steps may do to the length of a text to `growth`. An error if that is too much, an
  /// expression does not compile, a step is unknown, or the charsmap is cut short.
  static Result<Normalizer> open(const BlobHeader *blob, Growth &growth);

  /// The normalised text; it lies in `text` itself, `a` or `b`. `frontRemoved`: the text's first bytes were
  /// dropped, so what comes first now is not what stood first.
  std::string_view run(std::string_view text, std::string &a, std::string &b, bool &frontRemoved) const;

private:
  /// Appends what step `index` makes of `text` to `out`; false if that is `text` itself and nothing was
  /// appended.
  bool apply(size_t index, std::string_view text, std::string &out, bool &frontRemoved) const;
  /// What step `index` may do to the length of a text.
  void addGrowth(size_t index, Growth &growth) const;
  void mapChars(std::string_view text, std::string &out) const;
  std::optional<std::string_view> lookUp(std::string_view text) const;

  std::span<const Step> steps;
  std::span<const char> strings;
  std::vector<std::optional<Regex>> regexes; // one a step
  std::span<const char> mapUnits;            // of the charsmap: u32s of a double-array trie
  std::string_view mapTargets;               // strings, each ended by a zero byte
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_NORMALIZER_H
