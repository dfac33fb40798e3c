// SPDX-License-Identifier: Apache-2.0
// cp.async, cp.async.bulk and cp.async.bulk.tensor (PTX ISA 9.7.9.25 to 9.7.9.27): copies that end at a wait
// or an mbarrier.
#include "runtime/device/emulator/AsyncQueue.h"
#include "runtime/device/emulator/Barriers.h"
#include "runtime/device/emulator/BulkCopies.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/LoadStore.h"
#include "runtime/device/emulator/Opcodes.h"
#include "runtime/device/emulator/Races.h"

#include <cstring>

namespace sinter::emulator {

namespace {

struct CopyAsync {
  unsigned toBytes = 8, fromBytes = 8, size = 16;
  int64_t fromOffset = 0;
};

/// cp.async.ca|cg.shared.global [a], [b], size{, source size | ignore}: per lane. Slots: a, b addresses, c
/// source size (32 bits a lane, or 0), d predicate of ignore-src (or 0).
void copyLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const CopyAsync *>(in.detail);
  Cluster &cluster = *warp.block->cluster;
  uint64_t to[32], from[32];
  uint8_t *source[32];
  laneAddresses(warp, in.a, how.toBytes, in.offset, to);
  laneAddresses(warp, in.b, how.fromBytes, how.fromOffset, from);
  uint32_t sizes[32];
  Mask reads = 0;
  const Mask ignored = in.d ? warp.predicate(in.d) : 0;
  eachActive(warp, [&](int lane) {
    sizes[lane] = ignored >> lane & 1 ? 0 : in.c ? warp.reg<uint32_t>(in.c)[lane] : how.size;
    reads |= static_cast<Mask>(sizes[lane] != 0) << lane;
    if (sizes[lane] > how.size)
      warp.fault(in, "{}: expected a source size of at most {}, found {}", warp.describe(lane), how.size,
                 sizes[lane]);
  });
  // Lanes that read nothing may have any address.
  const Mask all = warp.active;
  Access access;
  access.space = Space::global;
  access.bytes = how.size;
  warp.active = all & reads;
  const bool good = !warp.active || locate(warp, in, access, from, source);
  warp.active = all;
  if (!good || cluster.faulted)
    return;
  if (cluster.counters)
    cluster.counters->asyncCopyBytes += static_cast<uint64_t>(__builtin_popcount(reads)) * how.size;
  RaceChecker *races = cluster.races.get();
  const uint32_t agent = races ? races->agentOf(warp, RaceChecker::Agent::copies) : 0;
  const uint32_t time = races ? races->tick(agent) : 0;
  eachActive(warp, [&](int lane) {
    uint8_t *place = locateShared(warp, in, to[lane], how.size, how.size);
    if (!place)
      return;
    if (races)
      races->asyncAccess(warp, in, agent, time, to[lane], how.size, true, false);
    const uint8_t *bytes = reads >> lane & 1 ? source[lane] : nullptr;
    cluster.async->inGroup(in, AsyncQueue::copies, warp, lane, place, how.size, nullptr,
                           [place, bytes, count = sizes[lane], size = how.size] {
                             std::memset(place, 0, size);
                             if (bytes)
                               std::memcpy(place, bytes, count);
                           });
  });
  if (cluster.races)
    copyGroup(warp).open = time;
}

void copyAsync(Translator &t) {
  CopyAsync how;
  t.takeOneOf({"ca", "cg"});
  if (t.takeOneOf({"shared", "shared::cta"}) < 0 || !t.take("global"))
    return t.fail("expected .shared.global");
  const bool policy = t.take("L2::cache_hint");
  t.takeOneOf({"L2::64B", "L2::128B", "L2::256B"});
  const Translator::Address to = t.address(t.operand(0)), from = t.address(t.operand(1));
  uint64_t size = 0;
  if (!t.immediate(t.operand(2), size) || (size != 4 && size != 8 && size != 16))
    return t.fail("expected a size of 4, 8 or 16");
  how.size = static_cast<unsigned>(size);
  how.toBytes = to.bytes, how.fromBytes = from.bytes, how.fromOffset = from.offset;
  uint32_t c = 0, d = 0;
  if (t.operandCount() > (policy ? 4u : 3u)) {
    if (t.registerType(t.operand(3)) == Type::pred)
      d = t.predicate(t.operand(3));
    else
      c = t.source(3, Type::b32);
  }
  Instruction &in = t.emit(&copyLanes, InstructionClass::asyncCopy);
  in.a = to.slot, in.b = from.slot, in.c = c, in.d = d;
  in.offset = to.offset;
  in.detail = t.keep(how);
}

void commitLanes(Warp &warp, const Instruction &in) {
  warp.block->cluster->async->commit(static_cast<AsyncQueue::Kind>(in.extra), warp);
  if (warp.block->cluster->races) {
    GroupTimes &times = in.extra == AsyncQueue::copies ? copyGroup(warp) : bulkGroup(warp);
    times.committed.push_back(times.open);
  }
}

/// wait_group n: offset n, -1 for wait_all; extra: kind, and 256 for .read.
void waitGroupLanes(Warp &warp, const Instruction &in) {
  Cluster &cluster = *warp.block->cluster;
  const auto kind = static_cast<AsyncQueue::Kind>(in.extra & 255);
  if (in.offset < 0)
    cluster.async->waitAll(kind, warp);
  else
    cluster.async->wait(kind, warp, static_cast<uint32_t>(in.offset), in.extra & 256);
  if (RaceChecker *races = cluster.races.get()) {
    GroupTimes &times = kind == AsyncQueue::copies ? copyGroup(warp) : bulkGroup(warp);
    const size_t pending = in.offset < 0 ? 0 : static_cast<size_t>(in.offset);
    const uint32_t agent = races->agentOf(warp, kind == AsyncQueue::copies ? RaceChecker::Agent::copies
                                                                           : RaceChecker::Agent::bulkStores);
    if (in.offset < 0)
      races->completed(warp, agent, times.open);
    else if (times.committed.size() > pending)
      races->completed(warp, agent, times.committed[times.committed.size() - 1 - pending]);
  }
}

void groupControl(Translator &t, AsyncQueue::Kind kind) {
  const int what = t.takeOneOf({"commit_group", "wait_group", "wait_all"});
  if (what == 0) {
    t.emit(&commitLanes, InstructionClass::asyncCopy).extra = kind;
    return;
  }
  uint64_t pending = 0;
  if (what == 1 && !t.immediate(t.operand(0), pending))
    return t.fail("expected a constant number of groups");
  const bool read = t.take("read");
  Instruction &in = t.emit(&waitGroupLanes, InstructionClass::asyncCopy);
  in.offset = what == 2 ? -1 : static_cast<int64_t>(pending);
  in.extra = kind | (read ? 256 : 0);
}

/// cp.async.mbarrier.arrive[.noinc]: an arrival when all earlier cp.async of the lane are done. Without
/// .noinc the phase expects one arrival more, so that it is the same as if nobody had arrived.
void arriveAfterCopies(Warp &warp, const Instruction &in) {
  uint64_t addresses[32];
  laneAddresses(warp, in.a, in.extra & 15, in.offset, addresses);
  Cluster &cluster = *warp.block->cluster;
  RaceChecker *races = cluster.races.get();
  const uint32_t time = races ? copyGroup(warp).open : 0;
  const bool increment = in.extra & 16;
  eachActive(warp, [&](int lane) {
    const uint64_t address = addresses[lane] & 0xffffffff;
    if (races)
      races->usesBarrier(warp, in, address);
    cluster.async->afterCopies(in, warp, lane, address, [&warp, &in, address, races, time, increment] {
      if (races)
        races->completed(races->mbarrier(address), races->agentOf(warp, RaceChecker::Agent::copies), time);
      if (!increment)
        mbarrierArrive(warp, in, address, {});
    });
  });
}

void cp(Translator &t) {
  const bool reduce = t.take("reduce");
  if (!t.take("async"))
    return t.fail("expected .async");
  if (t.take("bulk")) {
    const auto &modifiers = t.modifiers();
    if (!modifiers.empty() && (modifiers[0] == "commit_group" || modifiers[0] == "wait_group"))
      return groupControl(t, AsyncQueue::bulk);
    return bulkCopy(t, reduce);
  }
  if (t.take("mbarrier")) {
    if (!t.take("arrive"))
      return t.fail("expected .arrive");
    const bool noIncrement = t.take("noinc");
    takeSpace(t, Space::shared);
    t.needType();
    const Translator::Address address = t.address(t.operand(0));
    Instruction &in = t.emit(&arriveAfterCopies, InstructionClass::barrier);
    in.a = address.slot;
    in.offset = address.offset;
    in.extra = address.bytes | (noIncrement ? 0 : 16);
    return;
  }
  const auto &modifiers = t.modifiers();
  if (!modifiers.empty() &&
      (modifiers[0] == "commit_group" || modifiers[0] == "wait_group" || modifiers[0] == "wait_all"))
    return groupControl(t, AsyncQueue::copies);
  copyAsync(t);
}

} // namespace

GroupTimes &copyGroup(Warp &warp) { return warp.block->cluster->groupTimes[{&warp, 0}]; }
GroupTimes &bulkGroup(Warp &warp) { return warp.block->cluster->groupTimes[{&warp, 1}]; }

std::span<const Opcode> asyncCopyOpcodes() {
  static constexpr Opcode table[] = {{"cp", cp}};
  return table;
}

} // namespace sinter::emulator
