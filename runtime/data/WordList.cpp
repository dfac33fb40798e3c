// SPDX-License-Identifier: Apache-2.0
// The automaton has a row a node and a column a byte that occurs in some phrase.
#include "runtime/data/WordList.h"
#include "runtime/data/Ascii.h"
#include "runtime/data/ByteSource.h"
#include "runtime/data/Hash.h"

#include <algorithm>
#include <bit>
#include <immintrin.h>

namespace sinter::data {

uint64_t WordList::fingerprint() const {
  uint64_t hash = 0;
  for (const std::string &phrase : phrases)
    hash = hash64(phrase, hash);
  return hash;
}

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
  makeBeginnings();
}

void WordList::makeBeginnings() {
  searchable = !phrases.empty();
  for (size_t p = 0; p < phrases.size(); ++p) {
    searchable = searchable && phrases[p].size() >= beginning;
    for (size_t i = 0; i < std::min(beginning, phrases[p].size()); ++i) {
      auto byte = static_cast<unsigned char>(phrases[p][i]);
      for (unsigned c : {unsigned{byte}, byte >= 'a' && byte <= 'z' ? byte - 32u : byte}) {
        beginnings[i].low[c & 15] |= static_cast<uint8_t>(1 << p % 8);
        beginnings[i].high[c >> 4] |= static_cast<uint8_t>(1 << p % 8);
      }
    }
  }
}

/// At which of 32 places a phrase may begin, a bit each. Reads `beginning` - 1 bytes more.
uint32_t WordList::beginningsIn(const char *text) const {
  __m256i phrases = _mm256_set1_epi8(-1);
  for (size_t i = 0; i < beginning; ++i) {
    auto halves = [](const std::array<uint8_t, 16> &table) {
      return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i *>(table.data())));
    };
    const __m256i half = _mm256_set1_epi8(15);
    __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(text + i));
    __m256i low = _mm256_shuffle_epi8(halves(beginnings[i].low), _mm256_and_si256(bytes, half));
    __m256i high =
        _mm256_shuffle_epi8(halves(beginnings[i].high), _mm256_and_si256(_mm256_srli_epi16(bytes, 4), half));
    phrases = _mm256_and_si256(phrases, _mm256_and_si256(low, high));
  }
  return ~static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(phrases, _mm256_setzero_si256())));
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

/// Walks from `at`, before which no phrase has begun, until none has again; gives the phrase that ends on the
/// way, or -1. Moves `at` on by at least a byte.
int WordList::follow(std::string_view text, size_t &at) const {
  uint32_t node = 0;
  do {
    const size_t i = at++;
    node = next[node * classCount + classes[static_cast<unsigned char>(text[i])]];
    uint32_t hit = nodes[node].phrase >= 0 ? node : nodes[node].shorter;
    for (; hit; hit = nodes[hit].shorter) {
      const std::string &phrase = phrases[static_cast<size_t>(nodes[hit].phrase)];
      size_t begin = i + 1 - phrase.size();
      bool cut = isAsciiWord(phrase.front()) && begin > 0 && isAsciiWord(text[begin - 1]);
      cut = cut || (isAsciiWord(phrase.back()) && i + 1 < text.size() && isAsciiWord(text[i + 1]));
      if (!cut)
        return nodes[hit].phrase;
    }
  } while (node != 0 && at < text.size());
  return -1;
}

int WordList::find(std::string_view text) const {
  if (phrases.empty())
    return -1;
  size_t at = 0;
  constexpr size_t block = 32;
  while (searchable && at + block + beginning - 1 <= text.size()) {
    const size_t end = at + block;
    for (uint32_t begin = beginningsIn(text.data() + at); begin != 0;) {
      size_t place = end - block + static_cast<size_t>(std::countr_zero(begin));
      if (place < at) { // within what was walked
        begin &= begin - 1;
        continue;
      }
      at = place;
      if (int phrase = follow(text, at); phrase >= 0)
        return phrase;
    }
    at = std::max(at, end);
  }
  while (at < text.size())
    if (int phrase = follow(text, at); phrase >= 0)
      return phrase;
  return -1;
}

} // namespace sinter::data
