// SPDX-License-Identifier: Apache-2.0
// The automaton has a row a node and a column a byte that occurs in some phrase.
#include "runtime/data/WordList.h"
#include "runtime/data/Ascii.h"
#include "runtime/data/ByteSource.h"

#include <algorithm>

namespace sinter::data {
WordList::WordList(const std::vector<std::string> &list) {
  for (const std::string &entry : list) {
    std::string phrase;
    for (char c : entry)
      phrase += toAsciiLower(c);
    if (!phrase.empty())
      phrases.push_back(std::move(phrase));
  }
  for (const std::string &phrase : phrases)
    for (char c : phrase)
      if (uint8_t &mine = classes[static_cast<unsigned char>(c)]; mine == 0 && classCount < 256)
        mine = static_cast<uint8_t>(classCount++);
  for (int c = 'a'; c <= 'z'; ++c)
    classes[static_cast<size_t>(c - 32)] = classes[static_cast<size_t>(c)];
  nodes.resize(1);
  next.resize(classCount);
  for (size_t p = 0; p < phrases.size(); ++p) {
    uint32_t at = 0;
    for (char c : phrases[p]) {
      size_t edge = at * classCount + classes[static_cast<unsigned char>(c)];
      if (next[edge] == 0) {
        next[edge] = static_cast<uint32_t>(nodes.size());
        nodes.emplace_back();
        next.resize(next.size() + classCount);
      }
      at = next[edge];
    }
    if (nodes[at].phrase < 0)
      nodes[at].phrase = static_cast<int32_t>(p);
  }
  // Breadth first, so that the node a failure leads to is complete before it is needed.
  std::vector<uint32_t> order;
  for (uint32_t c = 1; c < classCount; ++c)
    if (next[c])
      order.push_back(next[c]);
  for (size_t i = 0; i < order.size(); ++i) {
    uint32_t at = order[i], fallback = nodes[at].fail;
    nodes[at].shorter = nodes[fallback].phrase >= 0 ? fallback : nodes[fallback].shorter;
    for (uint32_t c = 1; c < classCount; ++c) {
      uint32_t &edge = next[at * classCount + c];
      uint32_t other = next[fallback * classCount + c];
      if (edge == 0) {
        edge = other;
        continue;
      }
      nodes[edge].fail = other;
      order.push_back(edge);
    }
  }
  makeJumps();
}

void WordList::makeJumps() {
  constexpr size_t worthIt = 4;
  size_t shortest = 255;
  for (const std::string &phrase : phrases)
    shortest = std::min(shortest, phrase.size());
  if (phrases.empty() || shortest < worthIt)
    return;
  window = shortest;
  jumps.assign(256 * 256, static_cast<uint8_t>(window - 1));
  auto upper = [](unsigned char c) { return c >= 'a' && c <= 'z' ? c - 32u : c; };
  for (const std::string &phrase : phrases)
    for (size_t i = 1; i < window; ++i) {
      auto first = static_cast<unsigned char>(phrase[i - 1]), second = static_cast<unsigned char>(phrase[i]);
      for (unsigned a : {unsigned{first}, upper(first)})
        for (unsigned b : {unsigned{second}, upper(second)}) {
          uint8_t &jump = jumps[a << 8 | b];
          jump = std::min(jump, static_cast<uint8_t>(window - 1 - i));
        }
    }
}

Result<WordList> WordList::read(const std::string &path) {
  Result<std::unique_ptr<ByteSource>> source = openBytes(path);
  if (!source)
    return tl::unexpected(source.error());
  std::string text;
  for (size_t size = 0;;) {
    text.resize(size + (64 << 10));
    Result<size_t> got = (*source)->read({text.data() + size, text.size() - size});
    if (!got)
      return tl::unexpected(got.error());
    text.resize(size += *got);
    if (*got == 0)
      break;
  }
  std::vector<std::string> list;
  for (std::string_view rest = text; !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' '))
      line.remove_suffix(1);
    if (!line.empty() && line[0] != '#')
      list.emplace_back(line);
  }
  if (list.empty())
    return fail("{}: expected phrases, one a line, found none", path);
  return WordList(list);
}

int WordList::find(std::string_view text) const {
  if (phrases.empty())
    return -1;
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  uint32_t at = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (at == 0 && window) { // no phrase has begun before i
      size_t last = i + window - 1;
      while (last < text.size()) {
        uint8_t jump = jumps[static_cast<size_t>(byte(last - 1)) << 8 | byte(last)];
        if (jump == 0)
          break;
        last += jump;
      }
      if (last >= text.size())
        return -1;
      i = last + 1 - window;
    }
    at = next[at * classCount + classes[static_cast<unsigned char>(text[i])]];
    uint32_t hit = nodes[at].phrase >= 0 ? at : nodes[at].shorter;
    for (; hit; hit = nodes[hit].shorter) {
      const std::string &phrase = phrases[static_cast<size_t>(nodes[hit].phrase)];
      size_t begin = i + 1 - phrase.size();
      bool cut = isAsciiWord(phrase.front()) && begin > 0 && isAsciiWord(text[begin - 1]);
      cut = cut || (isAsciiWord(phrase.back()) && i + 1 < text.size() && isAsciiWord(text[i + 1]));
      if (!cut)
        return nodes[hit].phrase;
    }
  }
  return -1;
}

} // namespace sinter::data
