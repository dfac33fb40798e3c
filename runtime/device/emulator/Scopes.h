// SPDX-License-Identifier: Apache-2.0
// Strong operations (atomic, volatile, relaxed, acquire, release) on places in memory: what one releases
// another acquires where the scopes of both hold both threads (PTX ISA 8.5, 8.7: morally strong); where they
// do not, two of which one writes are a race.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_SCOPES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_SCOPES_H

#include "runtime/device/emulator/Races.h"
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>

namespace sinter::emulator {

/// The operations of a launch on global memory, or of a cluster on shared memory. Not for several threads at
/// once.
class StrongPlaces {
public:
  /// A strong operation of one lane: where it and an earlier one race, gives the earlier one, once a pair of
  /// lines.
  struct Use {
    uint32_t cluster = 0, rank = 0, warp = 0; // the warp's number in its cluster
    uint32_t time = 0, line = 0;              // time 0: none
    Scope scope = Scope::gpu;
    bool writes = false;
  };
  std::optional<Use> synchronize(Warp &warp, const Instruction &in, const Access &access, uint64_t address);
  /// What others may have released there since synchronize() looked.
  void found(Warp &warp, const Access &access, uint64_t address);

private:
  /// A block, or all blocks of a cluster.
  static constexpr uint32_t allBlocks = 0xff;
  static uint64_t keyOf(uint32_t cluster, uint32_t rank) { return uint64_t(cluster) << 8 | rank; }

  struct Place {
    Clock wide;                       // released for the whole GPU
    std::map<uint64_t, Clock> narrow; // released for a block or a cluster
    std::set<uint64_t> releasers;     // blocks that released for more than themselves
    /// Two of each: narrow or not, writes or not.
    std::array<std::array<Use, 2>, 4> uses;
  };

  void acquire(Warp &warp, const Access &access, const Place &place);
  void release(Warp &warp, const Access &access, Place &place);

  std::unordered_map<uint64_t, Place> places;
};

/// ".cta".
const char *nameOf(Scope scope);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_SCOPES_H
