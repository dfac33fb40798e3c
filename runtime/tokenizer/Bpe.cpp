// SPDX-License-Identifier: Apache-2.0
// Short words are merged by scanning for the first merge, long ones with a heap (n log n). A word is cut
// where no token can reach over before anything else is done: merging is local, so the parts can be encoded
// (and remembered) one by one.
#include "runtime/tokenizer/Bpe.h"
#include "runtime/tokenizer/Unicode.h"
#include <algorithm>

namespace sinter {

namespace {

constexpr size_t longWord = 24; // symbols from which the heap is faster
constexpr uint16_t partTag = 0x8000;

/// The heap's order: smallest key on top, leftmost among equals.
struct Later {
  bool operator()(const BpeModel::Scratch::Candidate &a, const BpeModel::Scratch::Candidate &b) const {
    return a.key != b.key ? a.key > b.key : a.position > b.position;
  }
};

bool isLower(char c) { return c >= 'a' && c <= 'z'; }

} // namespace

BpeModel::BpeModel(const BlobHeader *blob)
    : vocabulary(blob), config(section<TokenizerConfig>(blob, Section::Config).data()),
      slots(section<uint64_t>(blob, Section::MergeSlots)),
      results(section<uint32_t>(blob, Section::MergeResults)), ranks(section<uint32_t>(blob, Section::Ranks)),
      adjacent(section<uint64_t>(blob, Section::Adjacent)),
      byteIds(section<int32_t>(blob, Section::ByteIds).data()) {
  std::span<const char> text = section<char>(blob, Section::Text);
  wordPrefix = {text.data() + config->prefixOffset, config->prefixSize};
  wordSuffix = {text.data() + config->suffixOffset, config->suffixSize};
}

bool BpeModel::isDropped(char byte) const {
  return config->unknown < 0 && byteIds[static_cast<unsigned char>(byte)] < 0;
}

bool BpeModel::mayCut(uint32_t before, char lastByte, uint32_t after, char firstByte) const {
  auto has = [&](uint32_t a, uint32_t b) {
    uint32_t bit = adjacentBit(a, b, adjacent.size() * 64);
    return (adjacent[bit / 64] >> bit % 64 & 1) != 0;
  };
  if (has(before, after))
    return false;
  if (!(config->flags & ModelByteLevel))
    return true;
  // Tokens of byte-level models may hold only the end of one character or the beginning of the other.
  uint32_t tail = 0x80000000u | static_cast<unsigned char>(lastByte);
  uint32_t head = 0x80000000u | static_cast<unsigned char>(firstByte);
  if (before >= 0x80 && has(tail, after))
    return false;
  if (after >= 0x80 && (has(before, head) || (before >= 0x80 && has(tail, head))))
    return false;
  return true;
}

void BpeModel::encode(std::string_view word, const char *textEnd, Scratch &scratch,
                      std::vector<int32_t> &ids) const {
  if (word.empty())
    return;
  if (!(config->flags & ModelCuts) || ((config->flags & ModelByteLevel) && word.size() <= 16))
    return encodeWhole(word, textEnd, false, scratch, ids);
  if (config->flags & ModelIgnoreMerges) {
    if (int32_t id = vocabulary.find(word); id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  const char *begin = word.data(), *end = begin + word.size(), *p = begin;
  unicode::Char c = unicode::decode(p);
  auto flush = [&](const char *to) {
    size_t first = ids.size();
    encodeWhole({begin, static_cast<size_t>(to - begin)}, textEnd, true, scratch, ids);
    if (config->flags & ModelFuseUnknown && begin != word.data() && first != 0 && first != ids.size() &&
        config->unknown >= 0 && ids[first] == config->unknown && ids[first - 1] == config->unknown)
      ids.erase(ids.begin() + static_cast<ptrdiff_t>(first));
    begin = to;
  };
  for (p += c.size; p < end;) {
    unicode::Char d = unicode::decode(p);
    if (!(isLower(p[-1]) && isLower(*p)) && !isDropped(p[-1]) && !isDropped(*p) &&
        mayCut(c.code, p[-1], d.code, *p))
      flush(p);
    c = d;
    p += c.size;
  }
  flush(end);
}

/// The token that a word is without merging anything, or -1.
int32_t BpeModel::findWhole(std::string_view word, bool part) const {
  int32_t id = vocabulary.find(word);
  if (id < 0)
    return -1;
  bool whole = vocabulary.flagsOf(static_cast<uint32_t>(id)) & TokenWhole;
  return whole || (!part && config->flags & ModelIgnoreMerges) ? id : -1;
}

void BpeModel::encodeWhole(std::string_view word, const char *textEnd, bool part, Scratch &scratch,
                           std::vector<int32_t> &ids) const {
  uint16_t tag = part ? partTag : uint16_t{0};
  auto uncached = [&] {
    if (int32_t id = findWhole(word, part); id >= 0)
      ids.push_back(id);
    else
      merge(word, scratch, ids);
  };
  auto cached = [&](auto &cache) {
    auto [entry, found] = cache.find(word.data(), word.size(), textEnd, tag);
    size_t first = ids.size();
    if (found) {
      ids.resize(first + entry->count);
      std::copy_n(entry->ids, entry->count, ids.data() + first);
      return;
    }
    uncached();
    cache.store(entry, word.size(), tag, ids.data() + first, ids.size() - first);
  };
  if (word.size() <= scratch.shortWords.longestWord)
    return cached(scratch.shortWords);
  if (word.size() <= scratch.longWords.longestWord)
    return cached(scratch.longWords);
  uncached();
}

void BpeModel::merge(std::string_view word, Scratch &scratch, std::vector<int32_t> &ids) const {
  makeSymbols(word, scratch.symbols, scratch.affixed);
  if (scratch.symbols.size() < longWord)
    mergeShort(word, scratch.symbols);
  else
    mergeLong(word, scratch);
  for (const Scratch::Symbol &symbol : scratch.symbols)
    if (symbol.id >= 0)
      ids.push_back(symbol.id);
}

bool BpeModel::addByteTokens(std::string_view text, uint32_t begin,
                             std::vector<Scratch::Symbol> &symbols) const {
  for (char c : text)
    if (byteIds[static_cast<unsigned char>(c)] < 0)
      return false;
  for (size_t i = 0; i < text.size(); ++i)
    symbols.push_back({byteIds[static_cast<unsigned char>(text[i])], begin, begin, 0, 0, 0, 0, true});
  return true;
}

void BpeModel::makeSymbols(std::string_view word, std::vector<Scratch::Symbol> &symbols,
                           std::string &affixed) const {
  symbols.clear();
  bool byteLevel = config->flags & ModelByteLevel;
  // An unknown character waits until a known one or the end follows, so that its neighbours can join it.
  bool waiting = false;
  auto addUnknown = [&](uint32_t begin) {
    symbols.push_back({config->unknown, begin, begin, 0, 0, 0, 0, true});
    waiting = false;
  };
  for (size_t i = 0; i < word.size();) {
    size_t size = byteLevel ? 1 : unicode::charSize(word[i]);
    auto begin = static_cast<uint32_t>(i), end = static_cast<uint32_t>(i + size);
    std::string_view text = word.substr(i, size);
    int32_t id = -1;
    bool prefixed = i != 0 && !wordPrefix.empty(), suffixed = end == word.size() && !wordSuffix.empty();
    if (prefixed || suffixed) {
      affixed.assign(prefixed ? wordPrefix : std::string_view{});
      affixed.append(text).append(suffixed ? wordSuffix : std::string_view{});
      text = affixed;
      id = vocabulary.find(text);
    } else {
      id = byteLevel ? byteIds[static_cast<unsigned char>(word[i])] : vocabulary.find(text);
    }
    i += size;
    if (id >= 0 && static_cast<uint32_t>(id) < config->tokens) {
      if (waiting)
        addUnknown(begin);
      symbols.push_back({id, begin, end, 0, 0, 0, 0, false});
      continue;
    }
    if (config->flags & ModelByteFallback && addByteTokens(text, begin, symbols))
      continue;
    if (config->unknown < 0)
      continue;
    if (waiting && !(config->flags & ModelFuseUnknown))
      addUnknown(begin);
    waiting = true;
  }
  if (waiting)
    addUnknown(static_cast<uint32_t>(word.size()));
}

BpeModel::Merge BpeModel::findMerge(const Scratch::Symbol &left, const Scratch::Symbol &right,
                                    std::string_view word) const {
  if (config->flags & ModelRankedTokens) {
    if (left.fixed || right.fixed)
      return {emptyMerge, 0};
    int32_t id = vocabulary.find(word.substr(left.begin, right.end - left.begin));
    if (id < 0)
      return {emptyMerge, 0};
    // Of the pairs that make one token, the one with the longest left part comes first.
    auto made = static_cast<uint32_t>(id);
    return {uint64_t{ranks.empty() ? made : ranks[made]} << 32 | (0xFFFFFFFFu - (left.end - left.begin)),
            made};
  }
  auto l = static_cast<uint64_t>(left.id), r = static_cast<uint64_t>(right.id);
  if (slots.empty())
    return {emptyMerge, 0};
  size_t slot = slotOf(hashPair(static_cast<uint32_t>(l), static_cast<uint32_t>(r)), slots.size());
  uint64_t wanted = l << 20 | r;
  for (uint32_t probe = 0; probe <= config->maxProbe; ++probe) {
    uint64_t found = slots[slot];
    if (found == emptyMerge)
      break;
    if (found >> 24 == wanted) {
      uint64_t rank = found & 0xFFFFFF;
      if (rank >= results.size() || results[rank] >= config->tokens)
        break;
      return {rank, results[rank]};
    }
    if (++slot == slots.size())
      slot = 0;
  }
  return {emptyMerge, 0};
}

void BpeModel::mergeShort(std::string_view word, std::vector<Scratch::Symbol> &symbols) const {
  auto update = [&](size_t i) {
    if (i + 1 >= symbols.size()) {
      symbols[i].key = emptyMerge;
      return;
    }
    Merge merge = findMerge(symbols[i], symbols[i + 1], word);
    symbols[i].key = merge.key;
    symbols[i].result = merge.result;
  };
  for (size_t i = 0; i < symbols.size(); ++i)
    update(i);
  for (;;) {
    size_t best = 0;
    uint64_t key = emptyMerge;
    for (size_t i = 0; i < symbols.size(); ++i)
      if (symbols[i].key < key) {
        key = symbols[i].key;
        best = i;
      }
    if (key == emptyMerge)
      return;
    symbols[best].id = static_cast<int32_t>(symbols[best].result);
    symbols[best].end = symbols[best + 1].end;
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    update(best);
    if (best > 0)
      update(best - 1);
  }
}

void BpeModel::mergeLong(std::string_view word, Scratch &scratch) const {
  std::vector<Scratch::Symbol> &symbols = scratch.symbols;
  std::vector<Scratch::Candidate> &heap = scratch.heap;
  heap.clear();
  auto count = static_cast<int32_t>(symbols.size());
  auto update = [&](int32_t i, bool push) {
    Scratch::Symbol &symbol = symbols[static_cast<size_t>(i)];
    Merge merge = symbol.next < count ? findMerge(symbol, symbols[static_cast<size_t>(symbol.next)], word)
                                      : Merge{emptyMerge, 0};
    symbol.key = merge.key;
    symbol.result = merge.result;
    if (merge.key == emptyMerge)
      return;
    heap.push_back({merge.key, static_cast<uint32_t>(i)});
    if (push)
      std::push_heap(heap.begin(), heap.end(), Later{});
  };
  for (int32_t i = 0; i < count; ++i) {
    symbols[static_cast<size_t>(i)].previous = i - 1;
    symbols[static_cast<size_t>(i)].next = i + 1;
  }
  for (int32_t i = 0; i < count; ++i)
    update(i, false);
  std::make_heap(heap.begin(), heap.end(), Later{});
  while (!heap.empty()) {
    Scratch::Candidate top = heap.front();
    std::pop_heap(heap.begin(), heap.end(), Later{});
    heap.pop_back();
    Scratch::Symbol &symbol = symbols[top.position];
    if (symbol.key != top.key) // merged or changed since; a dead symbol has no key
      continue;
    Scratch::Symbol &dead = symbols[static_cast<size_t>(symbol.next)];
    symbol.id = static_cast<int32_t>(symbol.result);
    symbol.end = dead.end;
    symbol.next = dead.next;
    dead.key = emptyMerge;
    dead.id = -1;
    if (symbol.next < count)
      symbols[static_cast<size_t>(symbol.next)].previous = static_cast<int32_t>(top.position);
    update(static_cast<int32_t>(top.position), true);
    if (symbol.previous >= 0)
      update(symbol.previous, true);
  }
}

} // namespace sinter
