// SPDX-License-Identifier: Apache-2.0
// A sketch takes about one hash a shingle: each round puts every shingle into a slot, and when all slots have
// one no later round can matter. The first rounds choose slots by the hash; when short texts leave some
// empty, round after round fills one of them.
#include "runtime/data/MinHash.h"
#include "runtime/data/Hash.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace sinter::data {
void makeShingles(const std::vector<uint64_t> &units, std::vector<uint64_t> &shingles) {
  static_assert(shingleUnits == 5);
  constexpr uint64_t factor = 0x9E3779B97F4A7C15ull;
  shingles.clear();
  if (units.empty())
    return;
  if (units.size() < shingleUnits) {
    uint64_t hash = 0;
    for (uint64_t unit : units)
      hash = hash * factor + unit;
    shingles.push_back(mix64(hash));
    return;
  }
  // A polynomial of the units, made of those of neighbours: pair i is units[i] * factor + units[i + 1].
  auto pairAt = [&](size_t i) { return units[i] * factor + units[i + 1]; };
  shingles.resize(units.size() - shingleUnits + 1);
  uint64_t first = pairAt(0), second = pairAt(1);
  for (size_t i = 0; i < shingles.size(); ++i) {
    const uint64_t third = pairAt(i + 2);
    shingles[i] = mix64((first * (factor * factor) + third) * factor + units[i + 4]);
    first = second;
    second = third;
  }
}

Bands makeBands(const std::vector<uint64_t> &shingles) {
  constexpr size_t slots = bandCount * bandRows;
  constexpr uint64_t unset = ~0ull;
  std::array<uint64_t, slots> least; // (round, hash): the round above
  least.fill(unset);
  auto put = [&](size_t at, uint64_t round, uint64_t hash) {
    least[at] = std::min(least[at], round << 32 | (hash & 0xFFFFFFFF));
  };
  auto slotOf = [](uint64_t hash) { return static_cast<size_t>((hash >> 32) * slots >> 32); };
  for (uint64_t shingle : shingles)
    put(slotOf(shingle), 0, shingle);
  for (uint64_t round = 1; !shingles.empty() && std::ranges::find(least, unset) != least.end(); ++round)
    for (uint64_t shingle : shingles) {
      uint64_t hash = mix64(shingle + round * 0x9E3779B97F4A7C15ull);
      put(round < slots ? slotOf(hash) : round - slots, round, hash);
    }
  Bands bands;
  for (size_t b = 0; b < bandCount; ++b)
    bands[b] =
        hash64({reinterpret_cast<const char *>(least.data() + b * bandRows), bandRows * sizeof(uint64_t)}, b);
  return bands;
}

void ShingleSet::Table::clear(size_t most) {
  mask = std::bit_ceil(2 * most + 1) - 1;
  if (slots.size() <= mask)
    slots.resize(mask + 1);
  std::fill_n(slots.begin(), mask + 1, 0);
  hasZero = false;
}

size_t ShingleSet::Table::placeOf(uint64_t shingle) const {
  size_t at = shingle & mask; // shingles are hashes
  while (slots[at] && slots[at] != shingle)
    at = (at + 1) & mask;
  return at;
}

bool ShingleSet::Table::add(uint64_t shingle) {
  if (shingle == 0)
    return !std::exchange(hasZero, true);
  return std::exchange(slots[placeOf(shingle)], shingle) == 0;
}

void ShingleSet::assign(const std::vector<uint64_t> &shingles) {
  mine.clear(shingles.size());
  size = 0;
  for (uint64_t shingle : shingles)
    size += mine.add(shingle);
}

double ShingleSet::jaccard(const std::vector<uint64_t> &other) {
  seen.clear(other.size());
  size_t both = 0, others = 0;
  for (uint64_t shingle : other)
    if (seen.add(shingle)) {
      ++others;
      both += mine.has(shingle);
    }
  size_t either = size + others - both;
  return either ? static_cast<double>(both) / static_cast<double>(either) : 1;
}

void BandIndex::find(const Bands &bands, std::vector<uint32_t> &documents) const {
  documents.clear();
  const Slot *slots = table.as<Slot>();
  for (uint64_t band : bands) {
    uint32_t tag = static_cast<uint32_t>(band >> 32) | 1;
    for (size_t at = mix64(tag) & (capacity - 1); slots[at].tag; at = (at + 1) & (capacity - 1))
      if (slots[at].tag == tag)
        documents.push_back(slots[at].document);
  }
  std::ranges::sort(documents);
  documents.erase(std::unique(documents.begin(), documents.end()), documents.end());
}

void BandIndex::add(const Bands &bands, uint32_t document) {
  for (uint64_t band : bands) {
    if (++used * 2 > capacity)
      grow();
    Slot *slots = table.as<Slot>();
    uint32_t tag = static_cast<uint32_t>(band >> 32) | 1;
    size_t at = mix64(tag) & (capacity - 1);
    while (slots[at].tag)
      at = (at + 1) & (capacity - 1);
    slots[at] = {tag, document};
  }
}

void BandIndex::grow() {
  LargeTable old = std::move(table);
  const Slot *from = old.as<Slot>();
  const size_t before = capacity;
  capacity *= 2;
  table = LargeTable(capacity * sizeof(Slot), memory, folder);
  Slot *slots = table.as<Slot>();
  for (size_t i = 0; i < before; ++i) {
    if (!from[i].tag)
      continue;
    size_t at = mix64(from[i].tag) & (capacity - 1);
    while (slots[at].tag)
      at = (at + 1) & (capacity - 1);
    slots[at] = from[i];
  }
}

} // namespace sinter::data
