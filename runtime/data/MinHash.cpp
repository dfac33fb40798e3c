// SPDX-License-Identifier: Apache-2.0
// A sketch takes about one hash a shingle: each round puts every shingle into a slot, and when all slots have
// one no later round can matter. The first rounds choose slots by the hash; when short texts leave some
// empty, round after round fills one of them.
#include "runtime/data/MinHash.h"
#include "runtime/data/Hash.h"

#include <algorithm>

namespace sinter::data {
void makeShingles(const std::vector<uint64_t> &units, std::vector<uint64_t> &shingles) {
  shingles.clear();
  size_t size = std::min(shingleUnits, units.size());
  if (size == 0)
    return;
  shingles.reserve(units.size());
  for (size_t i = 0; i + size <= units.size(); ++i) {
    uint64_t hash = 0;
    for (size_t k = 0; k < size; ++k)
      hash = hash * 0x9E3779B97F4A7C15ull + units[i + k];
    shingles.push_back(mix64(hash));
  }
}

void makeSet(std::vector<uint64_t> &shingles) {
  std::ranges::sort(shingles);
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
}

Bands makeBands(const std::vector<uint64_t> &shingles) {
  constexpr size_t slots = bandCount * bandRows;
  constexpr uint64_t unset = ~0ull;
  std::array<uint64_t, slots> least; // (round, hash): the round above
  least.fill(unset);
  size_t empty = shingles.empty() ? 0 : slots;
  for (uint64_t round = 0; empty > 0; ++round) {
    for (uint64_t shingle : shingles) {
      uint64_t hash = round == 0 ? shingle : mix64(shingle + round * 0x9E3779B97F4A7C15ull);
      size_t at = round < slots ? static_cast<size_t>((hash >> 32) * slots >> 32) : round - slots;
      empty -= least[at] == unset;
      least[at] = std::min(least[at], round << 32 | (hash & 0xFFFFFFFF));
    }
  }
  Bands bands;
  for (size_t b = 0; b < bandCount; ++b)
    bands[b] =
        hash64({reinterpret_cast<const char *>(least.data() + b * bandRows), bandRows * sizeof(uint64_t)}, b);
  return bands;
}

double jaccard(const std::vector<uint64_t> &a, const std::vector<uint64_t> &b) {
  size_t both = 0, i = 0, k = 0;
  while (i < a.size() && k < b.size()) {
    both += a[i] == b[k];
    bool left = a[i] <= b[k], right = b[k] <= a[i];
    i += left;
    k += right;
  }
  size_t either = a.size() + b.size() - both;
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
