// SPDX-License-Identifier: Apache-2.0
// How much longer a tokenizer's steps can make a text. A model file may hold forty steps that each double it:
// such a tokenizer is refused when it is opened, before it takes all memory. Normalizers and pre-tokenizers,
// of which each works on what the one before has made, have one bound; decoders have one of their own.
#ifndef SINTER_RUNTIME_TOKENIZER_GROWTH_H
#define SINTER_RUNTIME_TOKENIZER_GROWTH_H

#include "runtime/Result.h"
#include <algorithm>
#include <bitset>
#include <string_view>

namespace sinter {

/// A bound of the length of the result by the length of the text, in bytes, over the steps so far.
class Growth {
public:
  /// What steps may make of a text: normalizers of known tokenizers stay below 600, with pre-tokenizers below
  /// 2400.
  static constexpr double most = 4096;

  /// Every `from` becomes `to`. Occurrences that no earlier step wrote lie apart from each other in the text
  /// itself, so that of all such steps the worst counts, not their product.
  void replace(std::string_view from, std::string_view to) {
    const double factor =
        std::max(1.0, static_cast<double>(to.size()) / static_cast<double>(std::max<size_t>(from.size(), 1)));
    const bool written =
        std::ranges::any_of(from, [&](char c) { return inserted[static_cast<unsigned char>(c)]; });
    double &product = written ? later : first;
    product = written ? product * factor : std::max(product, factor);
    for (char c : to)
      inserted.set(static_cast<unsigned char>(c));
    formed = false;
  }

  /// Any byte can become `factor` bytes of any kind.
  void multiply(double factor) {
    later *= factor;
    inserted.set();
    formed = false;
  }

  /// Unicode's forms and lower case, in any order: a form of a form is no longer than the longest form of the
  /// text, which is U+FDFA's in NFKD, 33 bytes for 3, a half more for capitals that grow.
  void changeForm() {
    if (!formed)
      multiply(16.5);
    formed = true;
  }

  /// An error if the steps so far can do more than `most`. `kind`, `index`: of the last of them,
  /// "normalizer", which is one of `count` of its kind.
  Result<> check(std::string_view kind, size_t index, size_t count) const {
    if (first * later <= most)
      return {};
    return fail(
        "tokenizer: expected steps that make a text at most {} times as long, found up to {:.0f} times "
        "as long behind {} {} of {}",
        most, first * later, kind, index + 1, count);
  }

private:
  double first = 1, later = 1;
  std::bitset<256> inserted; // bytes that steps may have written
  bool formed = false;
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_GROWTH_H
