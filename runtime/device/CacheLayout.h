// SPDX-License-Identifier: Apache-2.0
// Where the keys and values of a layer and a token lie in the cache; the layout that runtime/abi.h states.
#ifndef SINTER_RUNTIME_DEVICE_CACHELAYOUT_H
#define SINTER_RUNTIME_DEVICE_CACHELAYOUT_H

#include "runtime/abi.h"
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace sinter::device {

/// Byte offsets within a slot: its layers one after another, keys before values, each 64-byte aligned.
struct CacheLayout {
  struct Layer {
    uint64_t keys, values; ///< offsets
    uint64_t headKeys;     ///< bytes of one head's keys, all tokens
    uint64_t headValues;   ///< and values
    uint64_t panelBytes;   ///< one panel of SINTER_CACHE_PANEL keys
    uint64_t rowBytes;     ///< one token's value in one head
    int32_t heads;
  };
  std::vector<Layer> layers;
  int64_t capacity;   ///< tokens of a slot
  int64_t tokens;     ///< the same, rounded up to whole panels: memory is there for them
  uint64_t slotBytes; ///< a multiple of 4096

  /// The layout for `capacity` tokens a slot, elements of `elementBytes`.
  CacheLayout(const sinter_model &model, uint64_t elementBytes, int64_t capacity);

  /// Calls `visit` with the place in a slot and the bytes of each run of memory that the first `count` tokens
  /// take.
  void visitPrefix(int64_t count, const std::function<void(uint64_t offset, uint64_t bytes)> &visit) const;

  /// Copies the first `count` tokens of the slot at `from` to the slot at `to`.
  void copyPrefix(const std::byte *from, std::byte *to, int64_t count) const;
};

/// Bytes that one token's keys and values take in a cache of such elements.
uint64_t cacheTokenBytes(const sinter_model &model, uint32_t dtype);

/// Bytes of one element of enum sinter_dtype.
uint64_t dtypeBytes(uint32_t dtype);

} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_CACHELAYOUT_H
