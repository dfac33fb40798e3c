// SPDX-License-Identifier: Apache-2.0
// sentencepiece's BPE has no list of merges: its pieces' scores say what merges first. transformers turns
// them into merges (generate_merges), and so do we, mostly without writing them down.
#include "frontend/tokenizer/TokenizerSpec.h"
#include "runtime/files/Utf8.h"
#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace sinter {

namespace {

struct Split {
  uint32_t left, right, result;
  uint32_t leftChars, chars;
};

using Ids = std::unordered_map<std::string_view, uint32_t>;

/// Calls use(left, right, chars of left) for all ways to put `text` together from two tokens, until it
/// returns false.
template <typename Use> void forEachSplit(std::string_view text, const Ids &ids, Use use) {
  uint32_t chars = 1;
  for (size_t at = stepUtf8(text).size; at < text.size(); at += stepUtf8(text.substr(at)).size, ++chars) {
    auto left = ids.find(text.substr(0, at));
    if (left == ids.end())
      continue;
    auto right = ids.find(text.substr(at));
    if (right != ids.end() && !use(left->second, right->second, chars))
      return;
  }
}

} // namespace

void deriveMerges(TokenizerSpec &spec, const std::vector<double> &scores) {
  Ids ids;
  ids.reserve(spec.tokens.size());
  for (uint32_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id] && !spec.tokens[id]->empty())
      ids[*spec.tokens[id]] = id;
  std::vector<uint32_t> made; // tokens that can be put together
  for (uint32_t id = 0; id < spec.tokens.size(); ++id)
    if (spec.tokens[id] && !spec.tokens[id]->empty() && ids[*spec.tokens[id]] == id)
      forEachSplit(*spec.tokens[id], ids, [&](uint32_t, uint32_t, uint32_t) {
        made.push_back(id);
        return false;
      });
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
  auto size = [&](uint32_t id) { // in characters
    const std::string &text = *spec.tokens[id];
    return static_cast<uint32_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
  };
  std::vector<Split> splits;
  for (uint32_t id : made)
    forEachSplit(*spec.tokens[id], ids, [&](uint32_t left, uint32_t right, uint32_t chars) {
      splits.push_back({left, right, id, chars, size(id)});
      return true;
    });
  std::sort(splits.begin(), splits.end(), [&](const Split &a, const Split &b) {
    if (scores[a.result] != scores[b.result])
      return scores[a.result] > scores[b.result];
    if (a.leftChars != b.leftChars || a.chars != b.chars)
      return std::pair(a.leftChars, a.chars) > std::pair(b.leftChars, b.chars);
    return std::tuple(a.result, a.left, a.right) < std::tuple(b.result, b.left, b.right);
  });
  for (const Split &split : splits)
    spec.merges.push_back({split.left, split.right, split.result});
}

} // namespace sinter
