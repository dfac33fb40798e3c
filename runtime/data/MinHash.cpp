// SPDX-License-Identifier: Apache-2.0
// The inner loop takes 128 multiplications of 32 bits a shingle, which vectorise.
#include "runtime/data/MinHash.h"
#include "runtime/data/Hash.h"

#include <algorithm>

namespace sinter::data {
namespace {

constexpr size_t rows = 128; // the first bandCount * bandRows are used

struct Permutations {
  alignas(32) std::array<uint32_t, rows> factor, offset;
  Permutations() {
    for (size_t i = 0; i < rows; ++i) {
      factor[i] = static_cast<uint32_t>(mix64(2 * i + 1)) | 1;
      offset[i] = static_cast<uint32_t>(mix64(2 * i + 2));
    }
  }
};
const Permutations permutations;

} // namespace

void makeShingles(const std::vector<uint64_t> &units, std::vector<uint64_t> &shingles) {
  shingles.clear();
  size_t size = std::min(shingleUnits, units.size());
  if (size == 0)
    return;
  for (size_t i = 0; i + size <= units.size(); ++i) {
    uint64_t hash = 0;
    for (size_t k = 0; k < size; ++k)
      hash = hash * 0x9E3779B97F4A7C15ull + units[i + k];
    shingles.push_back(mix64(hash));
  }
  std::ranges::sort(shingles);
  shingles.erase(std::unique(shingles.begin(), shingles.end()), shingles.end());
}

Bands makeBands(const std::vector<uint64_t> &shingles) {
  alignas(32) std::array<uint32_t, rows> least;
  least.fill(~0u);
  for (uint64_t shingle : shingles) {
    // Two halves, so that a permutation is more than an affine map of one 32-bit number.
    auto low = static_cast<uint32_t>(shingle), high = static_cast<uint32_t>(shingle >> 32);
    for (size_t i = 0; i < rows; ++i) {
      uint32_t x = (low ^ permutations.offset[i]) * permutations.factor[i] + high;
      x = (x ^ x >> 15) * 0x2C1B3C6Du;
      least[i] = std::min(least[i], x);
    }
  }
  Bands bands;
  for (size_t b = 0; b < bandCount; ++b)
    bands[b] =
        hash64({reinterpret_cast<const char *>(least.data() + b * bandRows), bandRows * sizeof(uint32_t)}, b);
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
