// SPDX-License-Identifier: Apache-2.0
// Finds any of a list of phrases in a text in one pass over its bytes (Aho and Corasick 1975), ASCII letters
// in either case. Where phrases may begin is looked up for 32 places at once, by the halves of their first
// bytes (as Hyperscan's Teddy does; Wang et al., NSDI 2019).
#ifndef SINTER_RUNTIME_DATA_WORDLIST_H
#define SINTER_RUNTIME_DATA_WORDLIST_H

#include "runtime/Result.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sinter::data {

class WordList {
public:
  WordList() = default;
  /// Phrases that begin or end with an ASCII letter or digit are found only where a word begins or ends
  /// there.
  explicit WordList(const std::vector<std::string> &phrases);
  /// One phrase a line; empty lines and those that begin with # are left out.
  static Result<WordList> read(const std::string &path);

  bool empty() const { return phrases.empty(); }
  /// A number that other phrases, or the same in another order, change.
  uint64_t fingerprint() const;
  /// Index of the phrase that ends first in `text`, or -1.
  int find(std::string_view text) const;
  const std::string &phrase(int index) const { return phrases[static_cast<size_t>(index)]; }

private:
  void makeBeginnings();
  uint32_t beginningsIn(const char *text) const;
  int follow(std::string_view text, size_t &at) const;

  struct Node {
    uint32_t fail = 0;
    int32_t phrase = -1;  // that ends here
    uint32_t shorter = 0; // the next node on the way of failures at which a phrase ends; 0: none
  };
  std::vector<std::string> phrases;
  std::array<uint8_t, 256> classes{}; // of bytes: 0 for those that no phrase has
  uint32_t classCount = 1;
  std::vector<uint32_t> next; // (node, class)
  std::vector<Node> nodes;

  /// For each of a phrase's first bytes the phrases (number modulo 8, a bit each) that have some lower or
  /// upper half of a byte there, in either case.
  static constexpr size_t beginning = 4;
  struct Halves {
    std::array<uint8_t, 16> low{}, high{};
  };
  std::array<Halves, beginning> beginnings;
  bool searchable = false; // no phrase is shorter than that
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_WORDLIST_H
