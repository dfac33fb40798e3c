// SPDX-License-Identifier: Apache-2.0
// The trainer's loop: take the most frequent pair, merge it in the words where it occurs, count the pairs
// that this makes. Only words that change are touched. A pair's count in the queue may be out of date; it is
// then put back with the right one.
#include "runtime/data/BpeTrainer.h"
#include "runtime/tokenizer/PreTokenizer.h"
#include "runtime/tokenizer/Unicode.h"

#include <algorithm>
#include <array>
#include <limits>
#include <queue>
#include <unordered_map>
#include <unordered_set>

namespace sinter::data {
namespace {

constexpr uint32_t none = std::numeric_limits<uint32_t>::max();

/// Pairs with their counts: open addressing, never removed from.
class PairTable {
public:
  struct Slot {
    uint64_t pair = ~0ull; // free
    int64_t count = 0;
    uint32_t list = none; // where the pair is noted in this round
  };
  PairTable() : slots(1 << 12) {}

  Slot &operator[](uint64_t pair) {
    size_t mask = slots.size() - 1;
    for (size_t at = mix64(pair) & mask;; at = (at + 1) & mask) {
      Slot &slot = slots[at];
      if (slot.pair == pair)
        return slot;
      if (slot.pair != ~0ull)
        continue;
      if (++used * 2 > slots.size()) {
        grow();
        return (*this)[pair];
      }
      slot.pair = pair;
      return slot;
    }
  }
  size_t memory() const { return slots.size() * sizeof(Slot); }

private:
  void grow() {
    --used;
    std::vector<Slot> old(slots.size() * 2);
    old.swap(slots);
    size_t mask = slots.size() - 1;
    for (const Slot &slot : old) {
      if (slot.pair == ~0ull)
        continue;
      size_t at = mix64(slot.pair) & mask;
      while (slots[at].pair != ~0ull)
        at = (at + 1) & mask;
      slots[at] = slot;
    }
  }
  std::vector<Slot> slots;
  size_t used = 0;
};

constexpr uint64_t pairOf(uint32_t left, uint32_t right) { return uint64_t(left) << 32 | right; }

/// A place in the queue. A pair can have several, each with the words in which it was found when it was put
/// in.
struct Entry {
  int64_t count;
  uint64_t pair;
  uint32_t list;
  /// Less urgent than `other`.
  bool operator<(const Entry &other) const {
    if (count != other.count)
      return count < other.count;
    return pair != other.pair ? pair > other.pair : list > other.list;
  }
};

/// Of a pair that was merged twice the later merge counts, as in the reference.
void keepLast(std::vector<std::pair<uint32_t, uint32_t>> &merges) {
  std::unordered_set<uint64_t> seen;
  std::vector<std::pair<uint32_t, uint32_t>> kept;
  for (auto merge = merges.rbegin(); merge != merges.rend(); ++merge)
    if (seen.insert(pairOf(merge->first, merge->second)).second)
      kept.push_back(*merge);
  merges.assign(kept.rbegin(), kept.rend());
}

class Trainer {
public:
  explicit Trainer(const BpeOptions &options) : options(options) {}
  Result<BpeVocabulary> run(WordCounts words);

private:
  struct Word {
    uint64_t begin; // into `symbols`
    uint32_t size;
    uint64_t count;
  };

  uint32_t add(const std::string &token);
  void addBytes();
  Result<> addCharacters(const WordCounts &words);
  Result<> spell(const WordCounts &words);
  void countPairs();
  void note(uint64_t pair, uint32_t word);
  void enqueue();
  void mergeIn(uint32_t word, uint32_t left, uint32_t right, uint32_t made);
  void mergeAll();
  size_t wanted() const { return options.vocabularySize + result.special; }

  const BpeOptions &options;
  BpeVocabulary result;
  std::unordered_map<std::string, uint32_t> ids;
  std::array<uint32_t, 256> byteIds{};
  std::unordered_map<uint32_t, uint32_t> characterIds;
  std::vector<uint32_t> symbols;
  std::vector<Word> words;
  PairTable pairs;
  std::priority_queue<Entry> queue;
  std::vector<std::vector<uint32_t>> lists; // of words, by Entry::list
  std::vector<uint32_t> freeLists;
  std::vector<uint64_t> fresh; // pairs that were noted in this round
};

uint32_t Trainer::add(const std::string &token) {
  auto [at, added] = ids.try_emplace(token, static_cast<uint32_t>(result.tokens.size()));
  if (added)
    result.tokens.push_back(token);
  return at->second;
}

/// Bytes in the order of the characters that stand for them. What a special token spells is a token already,
/// but only a byte that stands for itself can be spelt so.
void Trainer::addBytes() {
  std::array<uint32_t, 256> order{};
  for (uint32_t b = 0; b < 256; ++b)
    order[b] = b;
  std::array<std::string, 256> spelt;
  for (uint32_t b = 0; b < 256; ++b)
    appendByteAlphabet(spelt[b], std::string(1, static_cast<char>(b)));
  std::ranges::sort(order, {}, [&](uint32_t b) { return unicode::decode(spelt[b].data()).code; });
  for (uint32_t b : order)
    byteIds[b] = add(spelt[b]);
}

Result<> Trainer::addCharacters(const WordCounts &counts) {
  for (int b = 0; b < 256; ++b)
    byteIds[static_cast<size_t>(b)] = add(fmt::format("<0x{:02X}>", b));
  std::unordered_map<uint32_t, uint64_t> seen;
  counts.forEach([&](std::string_view word, uint64_t count) {
    for (size_t i = 0; i < word.size();) {
      unicode::Char c = unicode::decode(word.data() + i);
      seen[c.code] += count;
      i += c.size;
    }
  });
  std::vector<std::pair<uint32_t, uint64_t>> kept(seen.begin(), seen.end());
  if (options.alphabetLimit && kept.size() > options.alphabetLimit) {
    std::ranges::sort(kept, [](const auto &a, const auto &b) {
      return a.second != b.second ? a.second > b.second : a.first < b.first;
    });
    kept.resize(options.alphabetLimit);
  }
  std::ranges::sort(kept);
  for (auto [code, count] : kept) {
    std::string character;
    unicode::append(character, code);
    characterIds[code] = add(character);
  }
  if (result.tokens.size() > wanted())
    return fail(
        "--vocab-size: expected at least {} (256 bytes and {} characters), found {}; --limit-alphabet keeps "
        "only the most frequent characters",
        result.tokens.size() - result.special, kept.size(), options.vocabularySize);
  return {};
}

/// Words as ids of the alphabet.
Result<> Trainer::spell(const WordCounts &counts) {
  size_t total = 0, multiple = 0;
  counts.forEach([&](std::string_view word, uint64_t) {
    total += word.size();
    multiple += word.size() > 1;
  });
  if (multiple >= none)
    return fail("expected fewer than 2^32 different words, found {}", multiple);
  // Symbols, words, and a position for most pairs; the table of words is alive while they are made.
  size_t need = total * 8 + multiple * sizeof(Word) + counts.memory();
  if (options.memory && need > options.memory)
    return fail("--memory: expected {} MiB for {} different words, found {} MiB", (need >> 20) + 1,
                counts.size(), options.memory >> 20);
  symbols.reserve(total);
  words.reserve(multiple);
  counts.forEach([&](std::string_view word, uint64_t count) {
    size_t begin = symbols.size();
    if (!options.byteFallback) {
      for (char c : word)
        symbols.push_back(byteIds[static_cast<unsigned char>(c)]);
    } else {
      for (size_t i = 0; i < word.size();) {
        unicode::Char c = unicode::decode(word.data() + i);
        if (auto id = characterIds.find(c.code); id != characterIds.end())
          symbols.push_back(id->second);
        i += c.size;
      }
    }
    if (symbols.size() - begin > 1)
      words.push_back({begin, static_cast<uint32_t>(symbols.size() - begin), count});
    else
      symbols.resize(begin); // has no pairs
  });
  return {};
}

/// Remembers that `word` has `pair`; words come in ascending order within a round.
void Trainer::note(uint64_t pair, uint32_t word) {
  PairTable::Slot &slot = pairs[pair];
  if (slot.list == none) {
    if (freeLists.empty()) {
      slot.list = static_cast<uint32_t>(lists.size());
      lists.emplace_back();
    } else {
      slot.list = freeLists.back();
      freeLists.pop_back();
    }
    fresh.push_back(pair);
  }
  std::vector<uint32_t> &list = lists[slot.list];
  if (list.empty() || list.back() != word)
    list.push_back(word);
}

void Trainer::countPairs() {
  for (uint32_t w = 0; w < words.size(); ++w) {
    const Word &word = words[w];
    for (uint32_t i = 0; i + 1 < word.size; ++i) {
      uint64_t pair = pairOf(symbols[word.begin + i], symbols[word.begin + i + 1]);
      pairs[pair].count += static_cast<int64_t>(word.count);
      note(pair, w);
    }
  }
  enqueue();
}

void Trainer::enqueue() {
  for (uint64_t pair : fresh) {
    PairTable::Slot &slot = pairs[pair];
    if (slot.count > 0) {
      queue.push({slot.count, pair, slot.list});
    } else {
      lists[slot.list] = {};
      freeLists.push_back(slot.list);
    }
    slot.list = none;
  }
  fresh.clear();
}

/// The count of the merged pair itself stays as it is, like in the reference: it matters only when the same
/// pair comes up again because its token can be made in two ways.
void Trainer::mergeIn(uint32_t w, uint32_t left, uint32_t right, uint32_t made) {
  Word &word = words[w];
  uint32_t *s = symbols.data() + word.begin;
  auto count = static_cast<int64_t>(word.count);
  uint32_t out = 0;
  for (uint32_t i = 0; i < word.size; ++i) {
    if (s[i] != left || i + 1 == word.size || s[i + 1] != right) {
      s[out++] = s[i];
      continue;
    }
    if (out > 0) {
      pairs[pairOf(s[out - 1], left)].count -= count;
      pairs[pairOf(s[out - 1], made)].count += count;
      note(pairOf(s[out - 1], made), w);
    }
    if (i + 2 < word.size) {
      pairs[pairOf(right, s[i + 2])].count -= count;
      pairs[pairOf(made, s[i + 2])].count += count;
      note(pairOf(made, s[i + 2]), w);
    }
    s[out++] = made;
    ++i;
  }
  word.size = out;
}

void Trainer::mergeAll() {
  while (result.tokens.size() < wanted() && !queue.empty()) {
    Entry top = queue.top();
    queue.pop();
    int64_t count = pairs[top.pair].count;
    if (count != top.count) {
      top.count = count;
      queue.push(top);
      continue;
    }
    if (count < 1 || static_cast<uint64_t>(count) < options.minFrequency)
      break;
    auto left = static_cast<uint32_t>(top.pair >> 32), right = static_cast<uint32_t>(top.pair);
    uint32_t made = add(result.tokens[left] + result.tokens[right]);
    result.merges.emplace_back(left, right);
    std::vector<uint32_t> where = std::move(lists[top.list]);
    lists[top.list] = {};
    freeLists.push_back(top.list);
    for (uint32_t word : where)
      mergeIn(word, left, right, made);
    enqueue();
    if (options.progress && result.merges.size() % 64 == 0)
      options.progress(result.tokens.size(), wanted());
  }
  if (options.progress)
    options.progress(result.tokens.size(), wanted());
}

Result<BpeVocabulary> Trainer::run(WordCounts counts) {
  for (const std::string &token : options.special)
    add(token);
  result.special = result.tokens.size();
  if (options.vocabularySize < 256)
    return fail("--vocab-size: expected at least 256, one a byte, found {}", options.vocabularySize);
  if (options.byteFallback) {
    if (Result<> added = addCharacters(counts); !added)
      return tl::unexpected(added.error());
  } else {
    addBytes();
  }
  if (Result<> spelt = spell(counts); !spelt)
    return tl::unexpected(spelt.error());
  counts = WordCounts();
  countPairs();
  mergeAll();
  keepLast(result.merges);
  return std::move(result);
}

} // namespace

Result<BpeVocabulary> trainBpe(WordCounts words, const BpeOptions &options) {
  return Trainer(options).run(std::move(words));
}

} // namespace sinter::data
