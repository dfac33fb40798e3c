// SPDX-License-Identifier: Apache-2.0
// Finds accesses to shared memory that nothing orders, from the semantics and not from the order that
// happened to run: happens-before as vector clocks (as FastTrack keeps them), a clock for each warp and for
// each asynchronous agent (the copies of a warp, its bulk stores, its wgmma, and what completes on an
// mbarrier).
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_RACES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_RACES_H

#include "runtime/device/emulator/Machine.h"
#include "runtime/device/emulator/Memory.h"
#include <map>
#include <set>
#include <unordered_map>

namespace sinter::emulator {

/// What a warp hands to those that wait: what happened before, and the part of it that a proxy fence has made
/// visible to the asynchronous proxy.
struct Clock {
  std::vector<uint32_t> happened, fenced;
  std::vector<uint32_t>
      inits; // until when initialisations of mbarriers are known, though nothing else may be
  std::map<uint32_t, std::vector<uint32_t>> others; // what happened in other clusters, through global memory
  void join(const Clock &other);
};

class RaceChecker {
public:
  RaceChecker(Cluster &cluster, uint32_t blocks, uint32_t warpsOfBlock);
  ~RaceChecker();

  /// What works on behalf of a warp.
  enum class Agent : uint8_t { copies, bulkStores, wgmma };

  /// A warp's own accesses. Always true: races are reported, and the kernel goes on.
  bool lanes(Warp &warp, const Instruction &in, const Access &access, const uint64_t (&addresses)[32]);

  // Synchronisation.
  void release(Warp &warp, Clock &into);
  void acquire(Warp &warp, const Clock &from);
  void warpSync(Warp &warp);
  void proxyFence(Warp &warp);
  // Through global memory, between clusters (GlobalRaces.h). `place` is the clock of an address.
  /// What a strong read finds: acquired now, or by the warp's next fence of scope `least` or a wider one.
  void acquireLater(Warp &warp, const Clock &place, bool now, Scope least);
  /// fence.acq_rel, fence.sc and membar.
  void memoryFence(Warp &warp, Scope scope);
  /// What happened until the warp's last fence of this scope or a wider one; null without one.
  const Clock *fenceOf(const Warp &warp, Scope scope) const;
  /// A clock as other clusters see it: its own cluster is one of the others.
  Clock asOther(const Clock &clock) const;
  const Clock &clockOf(const Warp &warp) const { return clocks[warp.entity]; }
  Clock &barrier(const Block &block, uint32_t id) { return barriers[block.rank << 8 | id]; }
  Clock &mbarrier(uint64_t address) { return mbarriers[address]; }
  /// Of a phase: those who wait for it may come after others have arrived for the next one.
  Clock &clusterBarrier(uint32_t phase) { return clusterClocks[phase % 2]; }

  // mbarriers: who uses one has to know of its initialisation, by what orders memory or, between blocks, by
  // fence.mbarrier_init before barrier.cluster.arrive.relaxed.
  void barrierInitialized(Warp &warp, const Instruction &in, uint64_t address);
  void usesBarrier(Warp &warp, const Instruction &in, uint64_t address);
  void initFence(Warp &warp);
  /// barrier.cluster.arrive.relaxed: makes known what fences before it cover.
  void arriveRelaxed(Warp &warp, Clock &into);

  // Asynchronous work: the agent's next tick, its accesses, and who may then rely on them.
  uint32_t agentOf(const Warp &warp, Agent agent) const;
  uint32_t agentOf(uint64_t mbarrierAddress);
  uint32_t tick(uint32_t agent);
  /// `async`: by the asynchronous proxy (bulk copies, wgmma), which sees writes of threads only after a proxy
  /// fence.
  void asyncAccess(Warp &issuer, const Instruction &in, uint32_t agent, uint32_t time, uint64_t address,
                   uint64_t bytes, bool write, bool async);
  void completed(Clock &clock, uint32_t agent, uint32_t time);
  void completed(Warp &warp, uint32_t agent, uint32_t time);

private:
  static constexpr uint16_t nobody = 0xffff;
  static constexpr uint8_t manyLanes = 0xfe, noLane = 0xff;
  struct Cell {
    uint16_t writer = nobody, reader = nobody;
    uint8_t writerLane = noLane, readerLane = noLane;
    bool generic = false; // written by a thread, not by the asynchronous proxy
    uint32_t written = 0, read = 0;
    uint32_t writeLine = 0, readLine = 0;
    uint32_t readers = 0; // index of further readers, 0: none
  };
  struct Reader {
    uint16_t entity;
    uint32_t time, line;
  };

  Cell *cells(uint64_t address);
  bool ordered(const std::vector<uint32_t> &clock, uint16_t entity, uint32_t time) const {
    return entity < clock.size() && clock[entity] >= time;
  }
  void read(Warp &warp, const Instruction &in, Cell &cell, uint16_t entity, uint8_t lane, uint32_t time,
            uint64_t address, bool async);
  void write(Warp &warp, const Instruction &in, Cell &cell, uint16_t entity, uint8_t lane, uint32_t time,
             uint64_t address, bool async);
  void report(Warp &warp, const Instruction &in, const char *what, const char *earlier, uint32_t line,
              uint16_t entity, uint64_t address);
  std::string nameOf(uint16_t entity) const;

  Cluster &cluster;
  uint32_t warps, warpsOfBlock;
  std::vector<Clock> clocks;     // of warps
  struct Fences {                // of a warp, by scope
    std::array<Clock, 3> found;  // by strong reads since its last fence
    std::array<Clock, 3> clocks; // at its last fence
    std::vector<uint32_t> inits; // at its last fence.mbarrier_init
  };
  std::vector<Fences> fences; // of warps
  std::unique_ptr<class StrongPlaces> strong;
  struct Initialisation {
    uint32_t entity, time, line;
  };
  std::unordered_map<uint64_t, Initialisation> initialisations; // by address
  std::vector<uint32_t> agentTimes;
  std::unordered_map<uint64_t, uint32_t> mbarrierAgents;
  std::unordered_map<uint32_t, Clock> barriers;
  std::unordered_map<uint64_t, Clock> mbarriers;
  std::array<Clock, 2> clusterClocks;
  std::vector<std::vector<Cell>> shadow; // of each block, a cell a byte
  std::vector<std::vector<Reader>> moreReaders;
  std::set<std::pair<uint32_t, uint32_t>> reported; // pairs of lines
};

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_RACES_H
