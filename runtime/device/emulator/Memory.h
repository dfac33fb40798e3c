// SPDX-License-Identifier: Apache-2.0
// Global memory as a table of allocations with names, and the way from a warp's addresses to the host's:
// every access is checked for bounds and alignment, and counted and checked for races when that is asked for.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_MEMORY_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_MEMORY_H

#include "runtime/device/emulator/Machine.h"
#include <map>
#include <shared_mutex>

namespace sinter::emulator {

class GlobalMemory {
public:
  struct Allocation {
    uint64_t begin = 0, end = 0;
  };
  ~GlobalMemory();

  /// Zeroed memory at a multiple of 512 bytes, with a gap to its neighbours; 0 if the host has no more.
  uint64_t allocate(uint64_t bytes, std::string name);
  /// False if `address` is not the start of an allocation (of that name, where one is given).
  bool free(uint64_t address, std::string_view name = {});
  /// Memory of the host's that kernels may use, too: parameters, pinned buffers. It stays the caller's.
  void map(uint64_t address, uint64_t bytes, std::string name);
  void unmap(uint64_t address);
  /// The allocation that holds [address, address + bytes), if one does.
  bool find(uint64_t address, uint64_t bytes, Allocation &found) const;
  bool read(uint64_t address, void *to, uint64_t bytes) const;
  uint64_t allocatedBytes() const { return allocated.load(); }
  /// Where an address lies: "4 bytes past the end of 'x' (1024 bytes)".
  std::string describe(uint64_t address) const;

private:
  struct Region {
    uint64_t end;
    std::string name;
    bool owned;
  };
  mutable std::shared_mutex lock;
  std::map<uint64_t, Region> regions;
  std::map<uint64_t, Region> freed;
  std::atomic<uint64_t> allocated{0};
};

enum class AccessKind : uint8_t { load, store, atomic };

/// Whose operations a strong operation or fence orders; .sys is .gpu here.
enum class Scope : uint8_t { cta, cluster, gpu };

/// A memory instruction as its family described it.
struct Access {
  Space space = Space::generic;
  unsigned addressBytes = 8;
  unsigned bytes = 4; // of a lane: element times vector
  AccessKind kind = AccessKind::load;
  bool synchronizes = false; // volatile, relaxed and stronger: not a data race
  bool acquires = false, releases = false;
  Scope scope = Scope::gpu;
};

/// Addresses of all lanes: base register plus offset.
void laneAddresses(const Warp &warp, uint32_t slot, unsigned addressBytes, int64_t offset,
                   uint64_t (&addresses)[32]);

/// Where the active lanes' bytes are; inactive lanes get the warp's scratch. False after a fault.
bool locate(Warp &warp, const Instruction &in, const Access &access, uint8_t *(&host)[32]);
bool locate(Warp &warp, const Instruction &in, const Access &access, const uint64_t (&addresses)[32],
            uint8_t *(&host)[32]);

/// Whether the block that a shared::cluster address names still runs; else a fault. (No block at all: true,
/// others say so.)
bool blockRuns(Warp &warp, const Instruction &in, uint64_t address);
/// One address in shared memory of the cluster: for barriers and copies. Null after a fault.
uint8_t *locateShared(Warp &warp, const Instruction &in, uint64_t address, uint64_t bytes, unsigned align);
/// One range of global memory. Null after a fault.
uint8_t *locateGlobal(Warp &warp, const Instruction &in, uint64_t address, uint64_t bytes, unsigned align);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_MEMORY_H
