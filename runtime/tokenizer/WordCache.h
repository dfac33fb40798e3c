// SPDX-License-Identifier: Apache-2.0
// Remembers what short words were encoded to: a direct-mapped table, one a thread. Words repeat so much that
// this is where most of the time of BPE is saved.
#ifndef SINTER_RUNTIME_TOKENIZER_WORDCACHE_H
#define SINTER_RUNTIME_TOKENIZER_WORDCACHE_H

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

namespace sinter {

/// Words of up to keyBytes bytes and up to maxIds ids.
template <size_t keyBytes, size_t maxIds, size_t entryCount> class WordCache {
public:
  struct Entry {
    uint64_t key[keyBytes / 8]; // the word, padded with zeros
    uint16_t label;             // bytes and tag; 0: free
    uint16_t count;
    int32_t ids[maxIds];
  };
  static constexpr size_t longestWord = keyBytes, mostIds = maxIds;

  /// The place for a word of 1 to keyBytes bytes. Words with different tags are different.
  struct Place {
    Entry *entry;
    bool found;
  };
  Place find(const char *word, size_t size, const char *textEnd, uint16_t tag) {
    if (!entries)
      entries.reset(allocate());
    uint64_t key[keyBytes / 8];
    load(key, word, size, textEnd);
    size_t label = size | tag;
    uint64_t h = label;
    for (uint64_t part : key)
      h = (h ^ part) * 0x9FB21C651E98DF25u, h ^= h >> 29;
    Entry *entry = &entries.get()[(h >> 8) % entryCount];
    bool same = entry->label == label;
    for (size_t i = 0; i < keyBytes / 8; ++i)
      same &= entry->key[i] == key[i];
    if (!same) {
      std::memcpy(entry->key, key, sizeof key);
      entry->label = 0;
    }
    return {entry, same};
  }

  /// Fills a place that find() did not find the word in.
  static void store(Entry *entry, size_t size, uint16_t tag, const int32_t *ids, size_t count) {
    if (count > maxIds)
      return;
    entry->label = static_cast<uint16_t>(size | tag);
    entry->count = static_cast<uint16_t>(count);
    std::copy_n(ids, count, entry->ids);
  }

private:
  /// Free entries, of pages that cost nothing before they are touched; without memory what `new` does.
  static Entry *allocate() {
    while (true) {
      if (void *memory = std::calloc(entryCount, sizeof(Entry)))
        return static_cast<Entry *>(memory);
      const std::new_handler handler = std::get_new_handler();
      if (!handler)
        throw std::bad_alloc();
      handler();
    }
  }

  static void load(uint64_t *key, const char *word, size_t size, const char *textEnd) {
    if (static_cast<size_t>(textEnd - word) >= keyBytes) {
      std::memcpy(key, word, keyBytes);
      for (size_t i = 0; i < keyBytes / 8; ++i) {
        size_t used = size > i * 8 ? size - i * 8 : 0;
        key[i] &= used >= 8 ? ~uint64_t{0} : (uint64_t{1} << used * 8) - 1;
      }
    } else {
      std::memset(key, 0, keyBytes);
      std::memcpy(key, word, size);
    }
  }

  struct Free {
    void operator()(Entry *p) const { std::free(p); }
  };
  std::unique_ptr<Entry, Free> entries;
};

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_WORDCACHE_H
