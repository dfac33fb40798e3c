// SPDX-License-Identifier: Apache-2.0
// Barriers of blocks and clusters, and mbarriers in shared memory.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_BARRIERS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_BARRIERS_H

#include "runtime/device/emulator/Machine.h"

namespace sinter::emulator {

/// Lanes of the block have exited: barriers that waited for them may be complete.
void lanesExited(Block &block);

/// "bar.sync 1: 64 of 128 threads have arrived".
std::string explainWait(const Warp &warp, const Wait &wait);

/// An mbarrier object (PTX ISA 9.7.13.15.2), which PTX leaves opaque, as the emulator lays out its 64 bits.
struct MBarrier {
  bool phase = false;       // parity of the current phase
  uint32_t expected = 0;    // arrivals of a phase
  int32_t pending = 0;      // arrivals that the current phase still waits for
  int32_t transactions = 0; // bytes that it still waits for

  uint64_t encode() const;
  /// False if the bits are no mbarrier: never initialised, or overwritten.
  static bool decode(uint64_t bits, MBarrier &barrier);
};

/// An arrival at an mbarrier.
struct Arrival {
  uint32_t count = 1;
  uint32_t bytes = 0;        // that the phase shall wait for, besides
  bool drops = false;        // later phases expect `count` fewer
  bool completes = true;     // false: completing the phase is a fault
  bool releases = true;      // orders what came before
  uint64_t *state = nullptr; // takes the state before the arrival
};

/// Changes to the mbarrier at a shared::cluster address; false after a fault. When the phase completes, those
/// who wait for it go on.
bool mbarrierArrive(Warp &warp, const Instruction &in, uint64_t address, const Arrival &arrival);
bool mbarrierComplete(Warp &warp, const Instruction &in, uint64_t address, int64_t bytes);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_BARRIERS_H
