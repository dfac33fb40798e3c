// SPDX-License-Identifier: Apache-2.0
// Viterbi over byte positions, with ties and unknown characters as Hugging Face's encode_optimized has them:
// the first path found wins, an unknown character costs 10 more than the worst token, a run of them is one
// token.
#include "runtime/tokenizer/Unigram.h"
#include "runtime/tokenizer/Unicode.h"

namespace sinter {

UnigramModel::UnigramModel(const BlobHeader *blob)
    : vocabulary(blob), trie(section<TrieNode>(blob, Section::VocabularyTrie)),
      config(section<TokenizerConfig>(blob, Section::Config).data()),
      scores(section<double>(blob, Section::Scores)),
      byteIds(section<int32_t>(blob, Section::ByteIds).data()) {}

void UnigramModel::addToken(std::string_view text, std::vector<int32_t> &ids) const {
  int32_t id = vocabulary.find(text);
  if (id < 0 && config->flags & ModelByteFallback) {
    size_t first = ids.size();
    for (char c : text) {
      int32_t byte = byteIds[static_cast<unsigned char>(c)];
      if (byte < 0) {
        ids.resize(first);
        break;
      }
      ids.push_back(byte);
    }
    if (ids.size() != first)
      return;
  }
  ids.push_back(id >= 0 ? id : config->unknown);
}

void UnigramModel::encode(std::string_view piece, Scratch &scratch, std::vector<int32_t> &ids) const {
  if (piece.empty() || trie.empty())
    return;
  auto unknown = static_cast<uint32_t>(config->unknown);
  auto &nodes = scratch.nodes;
  nodes.assign(piece.size() + 1, {0, 0, 0, false});
  for (size_t at = 0; at < piece.size();) {
    double before = nodes[at].score;
    size_t size = unicode::charSize(piece[at]);
    bool single = false;
    auto offer = [&](size_t end, uint32_t id, double score) {
      Scratch::Node &node = nodes[end];
      if (!node.reached || before + score > node.score)
        node = {before + score, static_cast<uint32_t>(at), id, true};
    };
    uint32_t node = Trie::root;
    for (size_t i = at; i < piece.size(); ++i) {
      node = trie.child(node, piece[i]);
      if (node == emptySlot)
        break;
      uint32_t id = trie.value(node);
      if (id >= scores.size())
        continue;
      offer(i + 1, id, scores[id]);
      single |= i + 1 - at == size;
    }
    if (!single)
      offer(at + size, unknown, config->unknownScore);
    at += size;
  }
  auto &path = scratch.path;
  path.clear();
  for (size_t end = piece.size(); end > 0 && nodes[end].reached; end = nodes[end].start)
    path.push_back(nodes[end]);
  size_t end = piece.size();
  for (size_t i = path.size(); i-- > 0;) {
    size_t begin = path[i].start;
    while (path[i].id == unknown && i > 0 && path[i - 1].id == unknown)
      --i;
    end = i > 0 ? path[i - 1].start : piece.size();
    if (path[i].id == unknown)
      addToken(piece.substr(begin, end - begin), ids);
    else
      ids.push_back(static_cast<int32_t>(path[i].id));
  }
}

} // namespace sinter
