// SPDX-License-Identifier: Apache-2.0
// Reads the double-array tries of a compiled tokenizer.
#ifndef SINTER_RUNTIME_TOKENIZER_TRIE_H
#define SINTER_RUNTIME_TOKENIZER_TRIE_H

#include "runtime/tokenizer/Blob.h"

namespace sinter {

class Trie {
public:
  Trie() = default;
  explicit Trie(std::span<const TrieNode> nodes) : nodes(nodes) {}

  bool empty() const { return nodes.empty(); }
  static constexpr uint32_t root = 0;

  /// The child of `node` for `byte`, or emptySlot. `node` is root or what this function returned.
  uint32_t child(uint32_t node, char byte) const {
    size_t next = size_t{nodes[node].base} + static_cast<unsigned char>(byte);
    return next < nodes.size() && nodes[next].parent == node && next != root ? static_cast<uint32_t>(next)
                                                                             : emptySlot;
  }
  /// The value of the key that ends at `node`, or emptySlot.
  uint32_t value(uint32_t node) const { return nodes[node].value; }

  struct Match {
    size_t size = 0; // bytes; 0: none
    uint32_t value = 0;
  };
  Match longestPrefix(std::string_view text) const {
    Match best;
    uint32_t node = root;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, text[i]);
      if (node == emptySlot)
        break;
      if (value(node) != emptySlot)
        best = {i + 1, value(node)};
    }
    return best;
  }

private:
  std::span<const TrieNode> nodes;
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_TRIE_H
