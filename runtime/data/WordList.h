// SPDX-License-Identifier: Apache-2.0
// Finds any of a list of phrases in a text in one pass over its bytes (Aho and Corasick 1975), ASCII letters
// in either case. Where no phrase can begin the pass jumps ahead (Wu and Manber 1994).
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
  /// Index of the phrase that ends first in `text`, or -1.
  int find(std::string_view text) const;
  const std::string &phrase(int index) const { return phrases[static_cast<size_t>(index)]; }

private:
  void makeJumps();

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
  size_t window = 0; // bytes of the shortest phrase, at most 255; 0: too short to jump by
  /// By the last two bytes of a window: how far the window may move without passing a phrase's beginning.
  std::vector<uint8_t> jumps;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_WORDLIST_H
