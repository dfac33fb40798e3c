// SPDX-License-Identifier: Apache-2.0
// How often each word of a corpus occurs.
#ifndef SINTER_RUNTIME_DATA_WORDCOUNTS_H
#define SINTER_RUNTIME_DATA_WORDCOUNTS_H

#include "runtime/data/Hash.h"

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

namespace sinter::data {

class WordCounts {
public:
  WordCounts() : slots(1024) {}

  /// Words are shorter than 4 GiB.
  void add(std::string_view word, uint64_t times = 1) { add(hash64(word), word, times); }
  /// All of another's words.
  void add(const WordCounts &other);

  size_t size() const { return used; }
  /// Bytes in use.
  size_t memory() const { return slots.size() * sizeof(Slot) + reserved; }

  /// use(std::string_view word, uint64_t count), in no particular order.
  template <typename Use> void forEach(Use use) const {
    for (const Slot &slot : slots)
      if (slot.count)
        use(std::string_view(slot.text, slot.size), slot.count);
  }

private:
  struct Slot {
    uint32_t tag, size; // the hash's upper half tells most different words apart
    const char *text;
    uint64_t count = 0; // 0: free
  };
  void add(uint64_t hash, std::string_view word, uint64_t times);
  const char *keep(std::string_view word);
  void grow();

  std::vector<Slot> slots; // open addressing, a power of two
  size_t used = 0;
  std::vector<std::unique_ptr<char[]>> blocks;
  char *next = nullptr;
  size_t left = 0, reserved = 0;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_WORDCOUNTS_H
