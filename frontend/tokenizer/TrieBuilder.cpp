// SPDX-License-Identifier: Apache-2.0
// Places the children of one node after another at the first base where all of them fit.
#include "frontend/tokenizer/TrieBuilder.h"
#include <algorithm>

namespace sinter {

namespace {

class Builder {
public:
  explicit Builder(const std::map<std::string, uint32_t> &values) {
    for (const auto &[key, value] : values)
      keys.push_back({key, value});
    reserve(512);
    nodes[0].parent = 0;
    free = 1;
  }

  std::vector<TrieNode> run() {
    struct Range {
      uint32_t node;
      size_t begin, end, depth;
    };
    std::vector<Range> work{{0, 0, keys.size(), 0}};
    while (!work.empty()) {
      auto [node, begin, end, depth] = work.back();
      work.pop_back();
      if (keys[begin].first.size() == depth)
        nodes[node].value = keys[begin++].second;
      if (begin == end)
        continue;
      std::vector<std::pair<unsigned char, size_t>> children; // byte and first key
      for (size_t i = begin; i < end; ++i) {
        auto byte = static_cast<unsigned char>(keys[i].first[depth]);
        if (children.empty() || children.back().first != byte)
          children.push_back({byte, i});
      }
      uint32_t base = findBase(children);
      nodes[node].base = base;
      for (size_t c = 0; c < children.size(); ++c) {
        uint32_t child = base + children[c].first;
        nodes[child].parent = node;
        work.push_back(
            {child, children[c].second, c + 1 < children.size() ? children[c + 1].second : end, depth + 1});
      }
    }
    while (nodes.back().parent == emptySlot)
      nodes.pop_back();
    return std::move(nodes);
  }

private:
  void reserve(size_t size) { nodes.resize(size, {0, emptySlot, emptySlot}); }

  uint32_t findBase(const std::vector<std::pair<unsigned char, size_t>> &children) {
    while (free < nodes.size() && nodes[free].parent != emptySlot)
      ++free;
    unsigned char first = children.front().first;
    // A full neighbourhood is not searched again and again: start a little further each time it does not fit.
    size_t tries = 0;
    for (size_t at = free;; ++at) {
      reserve(std::max(nodes.size(), at + 512));
      if (nodes[at].parent != emptySlot || at < first)
        continue;
      size_t base = at - first;
      bool fits = std::all_of(children.begin(), children.end(), [&](const auto &child) {
        return nodes[base + child.first].parent == emptySlot && base + child.first != 0;
      });
      if (fits)
        return static_cast<uint32_t>(base);
      if (++tries % 64 == 0)
        free = at;
    }
  }

  std::vector<std::pair<std::string_view, uint32_t>> keys;
  std::vector<TrieNode> nodes;
  size_t free = 0;
};

} // namespace

std::vector<TrieNode> buildTrie(const std::map<std::string, uint32_t> &values) {
  if (values.empty())
    return {};
  return Builder(values).run();
}

} // namespace sinter
