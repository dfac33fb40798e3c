// SPDX-License-Identifier: Apache-2.0
// Read-modify-write of one place in memory.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_ATOMICS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_ATOMICS_H

#include "runtime/device/emulator/Types.h"
#include <optional>

namespace sinter::emulator {

class Translator;

// In the order in which atom's modifiers are looked for.
enum class AtomicOperation : uint8_t {
  add,
  min,
  max,
  andBits,
  orBits,
  xorBits,
  exchange,
  compareAndSwap,
  increment,
  decrement
};

/// place = operation(place, b, c); gives the old bits. Whole for all CPU threads.
uint64_t atomicUpdate(uint8_t *place, AtomicOperation operation, Type type, uint64_t b, uint64_t c);

/// The modifier of an asynchronous reduction: .add, .min, .max, .and, .or, .xor, .inc or .dec. Without one
/// the translator fails, and there is none.
std::optional<AtomicOperation> takeReduction(Translator &t);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_ATOMICS_H
