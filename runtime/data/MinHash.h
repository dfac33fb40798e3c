// SPDX-License-Identifier: Apache-2.0
// Near-duplicates: MinHash signatures (Broder 1997; made by fast similarity sketching, Dahlgaard, Knudsen and
// Thorup 2017), banded for locality-sensitive hashing, over shingles of five units; and the Jaccard
// similarity itself, by which what the bands propose is checked.
#ifndef SINTER_RUNTIME_DATA_MINHASH_H
#define SINTER_RUNTIME_DATA_MINHASH_H

#include "runtime/data/LargeTable.h"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace sinter::data {

/// 21 bands of 6 rows: a pair of similarity 0.8 shares a band with probability 0.998, one of 0.5 with 0.28.
inline constexpr size_t bandCount = 21, bandRows = 6, shingleUnits = 5;
using Bands = std::array<uint64_t, bandCount>;

/// The shingles of a text's units (Measurer::units()), in its order; a text of fewer than five units is one
/// shingle.
void makeShingles(const std::vector<uint64_t> &units, std::vector<uint64_t> &shingles);
/// By the set of the shingles: neither order nor repetition matters.
Bands makeBands(const std::vector<uint64_t> &shingles);

/// The set of a document's shingles, to compare others with.
class ShingleSet {
public:
  /// Takes shingles in the place of those before; neither order nor repetition matters, as below.
  void assign(const std::vector<uint64_t> &shingles);
  /// |this and other| / |this or other| of the sets; 1 for two empty ones.
  double jaccard(const std::vector<uint64_t> &other);

private:
  /// Open addressing at a load of at most a half. A shingle of 0 has a place of its own, since 0 means free.
  class Table {
  public:
    void clear(size_t most);
    /// False if it was there.
    bool add(uint64_t shingle);
    bool has(uint64_t shingle) const { return shingle ? slots[placeOf(shingle)] == shingle : hasZero; }

  private:
    size_t placeOf(uint64_t shingle) const;
    std::vector<uint64_t> slots;
    size_t mask = 0;
    bool hasZero = false;
  };
  Table mine, seen;
  size_t size = 0;
};

/// Documents by band. Holds 8 bytes a band and document at a load of at most a half; beyond `memory` bytes
/// its table lies in `folder`.
class BandIndex {
public:
  BandIndex(size_t memory, std::string folder)
      : memory(memory), folder(std::move(folder)), table(capacity * sizeof(Slot), memory, this->folder) {}

  /// Documents that share a band, in ascending order, each once.
  void find(const Bands &bands, std::vector<uint32_t> &documents) const;
  void add(const Bands &bands, uint32_t document);
  size_t bytes() const { return capacity * sizeof(Slot); }

private:
  struct Slot {
    uint32_t tag; // upper half of the band's hash, not 0
    uint32_t document;
  };
  void grow();

  size_t memory;
  std::string folder;
  size_t capacity = 1 << 12, used = 0;
  LargeTable table;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_MINHASH_H
