// SPDX-License-Identifier: Apache-2.0
// sentencepiece's BPE has no list of merges: its pieces' scores say what merges first. transformers turns
// them into merges (generate_merges), and so do we, mostly without writing them down.
#include "frontend/tokenizer/TokenizerSpec.h"
#include "runtime/tokenizer/Utf8.h"
#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace sinter {

namespace {

struct Split {
  uint32_t left, right, result;
  uint32_t leftChars, rightChars;
};

/// All ways to put token `id` together from two tokens, by the ids of the parts.
std::vector<Split> splitsOf(std::string_view text, uint32_t id,
                            const std::unordered_map<std::string_view, uint32_t> &ids) {
  std::vector<Split> splits;
  std::vector<size_t> edges;
  for (size_t at = 0; at < text.size(); at += stepUtf8(text.substr(at)).size)
    edges.push_back(at);
  for (size_t i = 1; i < edges.size(); ++i) {
    auto left = ids.find(text.substr(0, edges[i])), right = ids.find(text.substr(edges[i]));
    if (left != ids.end() && right != ids.end())
      splits.push_back({left->second, right->second, id, static_cast<uint32_t>(i),
                        static_cast<uint32_t>(edges.size() - i)});
  }
  std::sort(splits.begin(), splits.end(), [](const Split &a, const Split &b) {
    return std::pair(a.left, a.right) < std::pair(b.left, b.right);
  });
  return splits;
}

} // namespace

void deriveMerges(TokenizerSpec &spec, const std::vector<double> &scores) {
  std::unordered_map<std::string_view, uint32_t> ids;
  for (uint32_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id])
      ids[*spec.tokens[id]] = id;
  std::vector<Split> splits;
  std::vector<uint32_t> made; // tokens that can be put together
  for (uint32_t id = 0; id < spec.tokens.size(); ++id) {
    if (!spec.tokens[id] || ids[*spec.tokens[id]] != id)
      continue;
    std::vector<Split> own = splitsOf(*spec.tokens[id], id, ids);
    if (!own.empty())
      made.push_back(id);
    splits.insert(splits.end(), own.begin(), own.end());
  }
  std::sort(made.begin(), made.end(),
            [&](uint32_t a, uint32_t b) { return std::pair(-scores[a], a) < std::pair(-scores[b], b); });
  bool ties = std::adjacent_find(made.begin(), made.end(), [&](uint32_t a, uint32_t b) {
                return scores[a] == scores[b];
              }) != made.end();
  spec.merges.clear();
  spec.ranks.clear();
  if (!ties && !made.empty()) {
    spec.ranks.assign(spec.tokens.size(), 0xFFFFFFFFu);
    for (uint32_t rank = 0; rank < made.size(); ++rank)
      spec.ranks[made[rank]] = rank;
    return;
  }
  std::sort(splits.begin(), splits.end(), [&](const Split &a, const Split &b) {
    if (scores[a.result] != scores[b.result])
      return scores[a.result] > scores[b.result];
    if (a.leftChars != b.leftChars || a.rightChars != b.rightChars)
      return std::pair(a.leftChars, a.rightChars) > std::pair(b.leftChars, b.rightChars);
    return std::tuple(a.result, a.left, a.right) < std::tuple(b.result, b.left, b.right);
  });
  for (const Split &split : splits)
    spec.merges.push_back({split.left, split.right, split.result});
}

} // namespace sinter
