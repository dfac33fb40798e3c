// SPDX-License-Identifier: Apache-2.0
// Modifiers that all memory instructions share.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_LOADSTORE_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_LOADSTORE_H

#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Memory.h"
#include "runtime/device/emulator/Translator.h"

namespace sinter::emulator {

Space takeSpace(Translator &translator, Space otherwise);
void takeOrder(Translator &translator, Access &access);
void takeCacheHints(Translator &translator);

/// What executes loads of 32 bits, or vectors of them, from addresses in registers.
Handler loadOfWords();

/// Offsets in the block's own shared memory of what all lanes access at address register `base` + `offset`:
/// `bytes` each, at multiples of `alignment` (a power of 2). False where a lane is outside, in the system's
/// part or misaligned.
template <typename A>
bool offsetsInShared(const Block &block, const A *base, int64_t offset, uint32_t bytes, uint32_t alignment,
                     uint32_t (&offsets)[32]) {
  const uint32_t add = static_cast<uint32_t>(offset) - sharedBase(block);
  uint32_t lowest = ~0u, highest = 0, bits = 0;
  A far = 0; // bits of addresses above 32
  SINTER_EACH_LANE {
    const uint32_t at = static_cast<uint32_t>(base[lane]) + add;
    offsets[lane] = at;
    if constexpr (sizeof(A) > 4)
      far |= base[lane] + static_cast<A>(offset);
    lowest = at < lowest ? at : lowest;
    highest = at > highest ? at : highest;
    bits |= at;
  }
  if constexpr (sizeof(A) > 4)
    if (far >> 32)
      return false;
  return lowest >= Program::sharedReserved && highest < block.shared.size() &&
         highest + bytes <= block.shared.size() && !(bits & (alignment - 1));
}

/// st.async (MBarriers.cpp).
void storeAsync(Translator &translator);
/// red.async, whose modifiers are all there but the last (MBarriers.cpp).
void reduceAsync(Translator &translator);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_LOADSTORE_H
