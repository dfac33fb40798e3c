// SPDX-License-Identifier: Apache-2.0
// bar, barrier (PTX ISA 9.7.13.1), bar.warp.sync (9.7.13.2), barrier.cluster (9.7.13.3).
#include "runtime/device/emulator/Barriers.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"
#include "runtime/device/emulator/Races.h"
#include "runtime/device/emulator/Warps.h"

#include <algorithm>
#include <cstring>

namespace sinter::emulator {

namespace {

/// Threads that have arrived; a warp counts when all its living lanes have (barriers count whole warps).
uint32_t arrivedThreads(const Block &block, const NamedBarrier &barrier) {
  uint32_t threads = 0;
  for (size_t i = 0; i < barrier.arrived.size(); ++i) {
    const Mask live = block.warps[i].live;
    threads += barrier.arrived[i] && (barrier.arrived[i] & live) == live ? lanesOfWarp : 0;
  }
  return threads;
}

bool isComplete(const Block &block, const NamedBarrier &barrier) {
  if (!barrier.inUse)
    return false;
  if (barrier.expected)
    return arrivedThreads(block, barrier) >= barrier.expected;
  for (size_t i = 0; i < block.warps.size(); ++i) { // all who have not exited
    const Mask live = block.warps[i].live;
    if ((barrier.arrived[i] & live) != live)
      return false;
  }
  return true;
}

/// Lets everybody who waits at the barrier go on.
void open(Block &block, uint32_t id) {
  NamedBarrier &barrier = block.barriers[id];
  RaceChecker *races = block.cluster->races.get();
  for (Warp &warp : block.warps)
    for (Group &group : warp.groups) {
      if (group.wait.kind != Wait::barrier || group.wait.id != id)
        continue;
      if (group.wait.slot) { // bar.red
        const Mask active = warp.active;
        warp.active = group.mask;
        if (group.wait.phase == 0)
          writeLanes<true, uint32_t>(warp, group.wait.slot, [&](int) { return barrier.count; });
        else
          writePredicate(warp, group.wait.slot,
                         (group.wait.phase == 1 ? barrier.all : barrier.any) ? allLanes : 0);
        warp.active = active;
      }
      group.wait = {};
      if (races)
        races->acquire(warp, races->barrier(block, id));
    }
  if (races)
    races->barrier(block, id) = {};
  barrier = {};
  ++block.cluster->progress;
}

enum BarrierKind : uint32_t { sync, arrive, reducePopc, reduceAnd, reduceOr };

struct BarrierUse {
  BarrierKind kind;
  bool aligned;
  bool negated;
};

/// Slots: a: number, b: threads (0: all), c: predicate, d: result.
void barrierLanes(Warp &warp, const Instruction &in) {
  const auto &use = *static_cast<const BarrierUse *>(in.detail);
  if (use.aligned && !converged(warp, in, allLanes))
    return;
  Block &block = *warp.block;
  const int first = __builtin_ctz(warp.active);
  const uint32_t id = warp.reg<uint32_t>(in.a)[first], threads = in.b ? warp.reg<uint32_t>(in.b)[first] : 0;
  if (id >= block.barriers.size())
    return warp.fault(in, "expected a barrier from 0 to 15, found {}", id);
  const uint32_t *ids = warp.reg<uint32_t>(in.a), *counts = in.b ? warp.reg<uint32_t>(in.b) : nullptr;
  if (warp.active &
      ~maskOf([=](int lane) { return ids[lane] == id && (!counts || counts[lane] == threads); }))
    return warp.fault(in, "{}: lanes that come to several barriers at once are not supported",
                      warp.describe());
  if (in.b && (threads == 0 || threads % lanesOfWarp))
    return warp.fault(in, "barrier {}: expected a number of threads that is a multiple of 32, found {}", id,
                      threads);
  NamedBarrier &barrier = block.barriers[id];
  if (!barrier.inUse) {
    barrier.inUse = true;
    barrier.expected = threads;
    barrier.arrived.assign(block.warps.size(), 0);
  }
  if (barrier.expected != threads)
    return warp.fault(in, "barrier {}: expected {} threads as those that have arrived did, found {}", id,
                      barrier.expected, threads);
  if (barrier.arrived[warp.index] & warp.active)
    return warp.fault(in, "barrier {}: {} arrives again before the barrier is complete", id, warp.describe());
  barrier.arrived[warp.index] |= warp.active;
  if (use.kind >= reducePopc) {
    const Mask yes = (warp.predicate(in.c) ^ (use.negated ? allLanes : 0)) & warp.active;
    barrier.count += static_cast<uint32_t>(__builtin_popcount(yes));
    barrier.all &= yes == warp.active;
    barrier.any |= yes != 0;
  }
  if (RaceChecker *races = block.cluster->races.get())
    races->release(warp, races->barrier(block, id));
  if (use.kind != arrive) {
    Wait wait;
    wait.kind = Wait::barrier;
    wait.id = id;
    wait.slot = in.d;
    wait.phase = use.kind >= reducePopc ? use.kind - reducePopc : 0;
    warp.suspend(wait, false);
    if (block.cluster->counters)
      ++block.cluster->counters->barrierWaits;
  }
  if (isComplete(block, barrier))
    open(block, id);
}

void warpBarrier(Translator &t) {
  t.take("sync");
  const uint32_t mask = t.source(0, Type::b32);
  Instruction &in = t.emit(
      +[](Warp &warp, const Instruction &in) {
        if (Mask mask = 0; !members(warp, in, in.a, mask))
          return;
        if (RaceChecker *races = warp.block->cluster->races.get())
          races->warpSync(warp);
      },
      InstructionClass::barrier);
  in.a = mask;
}

bool clusterComplete(const Cluster &cluster) {
  for (const Block &block : cluster.blocks)
    for (const Warp &warp : block.warps)
      if (warp.live & ~warp.clusterArrived)
        return false;
  return true;
}

void openCluster(Cluster &cluster) {
  ++cluster.clusterPhase;
  ++cluster.progress;
  for (Block &block : cluster.blocks)
    for (Warp &warp : block.warps) {
      warp.clusterArrived = 0;
      for (Group &group : warp.groups)
        if (group.wait.kind == Wait::clusterBarrier)
          group.wait = {};
    }
}

/// barrier.cluster.arrive and .wait; the wait is for the phase in which the warp arrived. in.extra: .relaxed,
/// which orders nothing.
void clusterArrive(Warp &warp, const Instruction &in) {
  Cluster &cluster = *warp.block->cluster;
  if (warp.clusterArrived & warp.active)
    return warp.fault(in, "barrier.cluster: {} arrives twice in a phase", warp.describe());
  warp.clusterArrived |= warp.active;
  warp.clusterPhase = cluster.clusterPhase;
  warp.clusterWaits |= warp.active;
  if (cluster.races && in.extra)
    cluster.races->arriveRelaxed(warp, cluster.races->clusterBarrier(warp.clusterPhase));
  else if (cluster.races)
    cluster.races->release(warp, cluster.races->clusterBarrier(warp.clusterPhase));
  if (clusterComplete(cluster))
    openCluster(cluster);
}

void clusterWait(Warp &warp, const Instruction &in) {
  Cluster &cluster = *warp.block->cluster;
  if (warp.active & ~warp.clusterWaits)
    return warp.fault(in, "barrier.cluster: {} waits, but has not arrived", warp.describe());
  if (cluster.clusterPhase == warp.clusterPhase && (warp.clusterArrived & warp.active)) {
    Wait wait;
    wait.kind = Wait::clusterBarrier;
    wait.phase = warp.clusterPhase;
    if (cluster.counters)
      ++cluster.counters->clusterWaits;
    return warp.suspend(wait, true); // acquires when it is executed again
  }
  warp.clusterWaits &= ~warp.active;
  if (cluster.races)
    cluster.races->acquire(warp, cluster.races->clusterBarrier(warp.clusterPhase));
}

void clusterBarrier(Translator &t) {
  const int kind = t.takeOneOf({"arrive", "wait"});
  const bool relaxed = t.takeOneOf({"release", "relaxed", "acquire"}) == 1;
  t.take("aligned");
  if (kind < 0)
    return t.fail("expected .arrive or .wait");
  t.emit(kind == 0 ? &clusterArrive : &clusterWait, InstructionClass::barrier).extra = relaxed;
}

/// bar and barrier; bar is barrier.aligned.
template <bool isBar> void barrier(Translator &t) {
  if (t.take("warp"))
    return warpBarrier(t);
  if (t.take("cluster"))
    return clusterBarrier(t);
  t.take("cta");
  BarrierUse use{sync, isBar, false};
  const int kind = t.takeOneOf({"sync", "arrive", "red"});
  use.aligned |= t.take("aligned");
  if (kind < 0)
    return t.fail("expected .sync, .arrive or .red");
  uint32_t a = 0, b = 0, c = 0, d = 0;
  if (kind == 2) {
    const int reduce = t.takeOneOf({"popc", "and", "or"});
    t.needType();
    if (reduce < 0)
      return t.fail("expected .popc, .and or .or");
    use.kind = static_cast<BarrierKind>(reducePopc + reduce);
    const size_t last = t.operandCount() - 1;
    d = reduce == 0 ? t.target(0, Type::u32) : t.predicateTarget(t.operand(0));
    a = t.source(1, Type::u32);
    b = last == 3 ? t.source(2, Type::u32) : 0;
    c = t.predicate(t.operand(last));
  } else {
    use.kind = kind == 0 ? sync : arrive;
    a = t.operandCount() > 0 ? t.source(0, Type::u32) : t.constant(0, 4);
    b = t.operandCount() > 1 ? t.source(1, Type::u32) : 0;
    if (kind == 1 && !b)
      return t.fail("expected the number of threads");
  }
  Instruction &in = t.emit(&barrierLanes, InstructionClass::barrier);
  in.a = a, in.b = b, in.c = c, in.d = d;
  in.detail = t.keep(use);
}

} // namespace

void lanesExited(Block &block) {
  for (uint32_t id = 0; id < block.barriers.size(); ++id)
    if (isComplete(block, block.barriers[id]))
      open(block, id);
  Cluster &cluster = *block.cluster;
  bool arrived = false;
  for (const Block &each : cluster.blocks)
    for (const Warp &warp : each.warps)
      arrived |= warp.clusterArrived != 0;
  if (arrived && clusterComplete(cluster))
    openCluster(cluster);
}

std::string explainWait(const Warp &warp, const Wait &wait) {
  const Block &block = *warp.block;
  switch (wait.kind) {
  case Wait::barrier: {
    const NamedBarrier &barrier = block.barriers[wait.id];
    const uint32_t all = static_cast<uint32_t>(block.warps.size()) * lanesOfWarp;
    return fmt::format("waits at barrier {}, where {} of {} threads have arrived", wait.id,
                       arrivedThreads(block, barrier), barrier.expected ? barrier.expected : all);
  }
  case Wait::mbarrier: {
    MBarrier barrier;
    uint64_t bits = 0;
    const std::vector<Block> &blocks = block.cluster->blocks;
    const uint64_t rank = wait.address >> sharedRankShift;
    if (rank < blocks.size())
      std::memcpy(&bits, blocks[rank].shared.data() + (wait.address & 0xffffff), 8);
    if (!MBarrier::decode(bits, barrier))
      return fmt::format("waits for the mbarrier at {:#x}, which has been overwritten", wait.address);
    return fmt::format("waits for the phase of parity {} of the mbarrier at {:#x}: {} of {} arrivals and {} "
                       "bytes are missing",
                       wait.phase, wait.address, barrier.pending, barrier.expected, barrier.transactions);
  }
  case Wait::clusterBarrier:
    return "waits at barrier.cluster";
  case Wait::lanes:
    return fmt::format("waits for lanes {:#x} of its warp", wait.needed);
  case Wait::nothing:
    break;
  }
  return "could run";
}

std::span<const Opcode> barrierOpcodes() {
  static constexpr Opcode table[] = {{"bar", barrier<true>}, {"barrier", barrier<false>}};
  return table;
}

} // namespace sinter::emulator
