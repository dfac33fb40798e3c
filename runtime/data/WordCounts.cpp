// SPDX-License-Identifier: Apache-2.0
// A hash table over words that lie in blocks of their own.
#include "runtime/data/WordCounts.h"

#include <algorithm>
#include <cstring>

namespace sinter::data {

void WordCounts::add(uint64_t hash, std::string_view word, uint64_t times) {
  auto tag = static_cast<uint32_t>(hash >> 32);
  size_t mask = slots.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    Slot &slot = slots[at];
    if (!slot.count) {
      slot = {tag, static_cast<uint32_t>(word.size()), keep(word), times};
      if (++used * 2 > slots.size())
        grow();
      return;
    }
    if (slot.tag == tag && slot.size == word.size() &&
        std::memcmp(slot.text, word.data(), word.size()) == 0) {
      slot.count += times;
      return;
    }
  }
}

void WordCounts::add(const WordCounts &other) {
  other.forEach([&](std::string_view word, uint64_t count) { add(word, count); });
}

const char *WordCounts::keep(std::string_view word) {
  constexpr size_t block = 256 << 10;
  if (word.size() > left) {
    size_t size = std::max(block, word.size());
    blocks.push_back(std::make_unique_for_overwrite<char[]>(size));
    next = blocks.back().get();
    left = size;
    reserved += size;
  }
  char *text = next;
  std::memcpy(text, word.data(), word.size());
  next += word.size();
  left -= word.size();
  return text;
}

void WordCounts::grow() {
  std::vector<Slot> old(slots.size() * 2);
  old.swap(slots);
  size_t mask = slots.size() - 1;
  for (const Slot &slot : old) {
    if (!slot.count)
      continue;
    size_t at = hash64({slot.text, slot.size}) & mask;
    while (slots[at].count)
      at = (at + 1) & mask;
    slots[at] = slot;
  }
}

} // namespace sinter::data
