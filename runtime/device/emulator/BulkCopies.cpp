// SPDX-License-Identifier: Apache-2.0
// cp.async.bulk, cp.reduce.async.bulk and their .tensor forms (PTX ISA 9.7.9.25.4, 9.7.9.27): loads that
// complete on an mbarrier, with multicast to blocks of the cluster, and stores and reductions in bulk groups.
#include "runtime/device/emulator/BulkCopies.h"
#include "runtime/device/emulator/AsyncQueue.h"
#include "runtime/device/emulator/Barriers.h"
#include "runtime/device/emulator/GlobalRaces.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/LoadStore.h"
#include "runtime/device/emulator/Races.h"
#include "runtime/device/emulator/TensorMap.h"

#include <algorithm>
#include <cstring>

namespace sinter::emulator {

namespace {

struct BulkCopy {
  enum Direction : uint8_t { toShared, toGlobal, sharedToShared, prefetch } direction = toShared;
  bool tensor = false, multicast = false, reduces = false;
  AtomicOperation reduce = AtomicOperation::add;
  Type type = Type::none; // of a reduction without a map
  int rank = 0;
  struct Place {
    uint32_t slot = 0;
    unsigned bytes = 8;
    int64_t offset = 0;
  } to, from, barrier; // of tensors: `to` or `from` is the map
  std::array<uint32_t, 5> coordinates{};
  uint32_t size = 0, mask = 0; // slots
};

uint64_t valueAt(const Warp &warp, const BulkCopy::Place &place, int lane) {
  return place.bytes == 8 ? warp.reg<uint64_t>(place.slot)[lane] + static_cast<uint64_t>(place.offset)
                          : static_cast<uint32_t>(warp.reg<uint32_t>(place.slot)[lane] + place.offset);
}

uint64_t inBlock(uint64_t address, uint32_t rank) {
  return (address & 0xffffff) | static_cast<uint64_t>(rank) << sharedRankShift;
}

/// The tensor map at a generic address: a parameter, constant or global memory.
const TensorMap *mapAt(Warp &warp, const Instruction &in, uint64_t address, int rank) {
  const auto *map = reinterpret_cast<const TensorMap *>(locateGlobal(warp, in, address, 128, 64));
  if (!map)
    return nullptr;
  if (map->magic != TensorMap::magicValue) {
    warp.fault(in, "{}: expected a tensor map at {:#x} (made by cuTensorMapEncodeTiled)", warp.describe(),
               address);
    return nullptr;
  }
  if (const Result<> good = checkMap(*map); !good) { // kernels may have made it
    warp.fault(in, "{}: {}", warp.describe(), good.error().message);
    return nullptr;
  }
  if (map->rank != rank) {
    warp.fault(in, "{}: expected a tensor map of rank {}, found one of rank {}", warp.describe(), rank,
               map->rank);
    return nullptr;
  }
  return map;
}

/// The tensor's memory must still be there.
bool mapIsValid(Warp &warp, const Instruction &in, const TensorMap &map) {
  constexpr uint64_t nobodyHasSoMany = ~0ull >> 1; // a size times a stride may be 2^72
  unsigned __int128 bytes = map.size(0) * map.elementBytes();
  for (int d = 1; d < map.rank; ++d)
    bytes += static_cast<unsigned __int128>(map.size(d) - 1) * map.strides[d - 1];
  return locateGlobal(warp, in, map.address,
                      static_cast<uint64_t>(std::min<unsigned __int128>(bytes, nobodyHasSoMany)),
                      16) != nullptr;
}

constexpr unsigned boxAlignment = 128; // of a tensor copy's shared address (PTX ISA 9.7.9.27.1.2)

/// The box at a shared address. A swizzle moves pieces within lines of 128 bytes, so these must be there
/// whole.
uint8_t *locateBox(Warp &warp, const Instruction &in, uint64_t address, const TensorMap &map) {
  const uint64_t bytes = map.boxBytes(), unit = map.swizzle == Swizzle::none ? 1 : boxAlignment;
  return locateShared(warp, in, address, (bytes + unit - 1) / unit * unit, boxAlignment);
}

/// Tells the race checker what a box reads or writes of global memory.
void notePlaces(Warp &warp, const Instruction &in, const TensorMap &map, const int32_t *at, bool writes) {
  GlobalRaceChecker *races = warp.block->cluster->launch->globalRaces.get();
  if (races)
    eachPartOfBox(map, at,
                  [&](uint64_t address, uint64_t bytes) { races->range(warp, in, address, bytes, writes); });
}

void reduceInto(const BulkCopy &copy, uint8_t *target, const uint8_t *source, uint64_t bytes) {
  const unsigned element = bytesOf(copy.type);
  for (uint64_t i = 0; i < bytes; i += element) {
    uint64_t value = 0;
    std::memcpy(&value, source + i, element);
    atomicUpdate(target + i, copy.reduce, copy.type, value, 0);
  }
}

void loadOne(Warp &warp, const Instruction &in, const BulkCopy &copy, int lane) {
  Cluster &cluster = *warp.block->cluster;
  const uint64_t to = valueAt(warp, copy.to, lane) & 0xffffffff,
                 barrier = valueAt(warp, copy.barrier, lane) & 0xffffffff;
  const TensorMap *map = nullptr;
  uint64_t bytes = 0;
  const uint8_t *source = nullptr;
  std::array<int32_t, 5> at{};
  if (copy.tensor) {
    map = mapAt(warp, in, valueAt(warp, copy.from, lane), copy.rank);
    if (!map || !mapIsValid(warp, in, *map))
      return;
    for (int d = 0; d < copy.rank; ++d)
      at[static_cast<size_t>(d)] = warp.reg<int32_t>(copy.coordinates[static_cast<size_t>(d)])[lane];
    bytes = map->boxBytes();
    notePlaces(warp, in, *map, at.data(), false);
  } else {
    bytes = warp.reg<uint32_t>(copy.size)[lane];
    if (!bytes || bytes % 16)
      return warp.fault(in, "{}: expected a size that is a multiple of 16, found {}", warp.describe(lane),
                        bytes);
    const uint64_t from = valueAt(warp, copy.from, lane);
    source = copy.direction == BulkCopy::sharedToShared ? locateShared(warp, in, from, bytes, 16)
                                                        : locateGlobal(warp, in, from, bytes, 16);
    if (!source)
      return;
    if (GlobalRaceChecker *races = cluster.launch->globalRaces.get();
        races && copy.direction != BulkCopy::sharedToShared)
      races->range(warp, in, from, bytes, false);
  }
  const uint32_t mask =
      copy.multicast ? warp.reg<uint16_t>(copy.mask)[lane] : 1u; // without: the block that `to` names
  if (!mask)
    return warp.fault(in, "{}: expected a multicast to one block or more, found mask 0", warp.describe(lane));
  if (cluster.counters) {
    cluster.counters->bulkLoadBytes += bytes;
    cluster.counters->multicastBytes += bytes * static_cast<uint64_t>(__builtin_popcount(mask) - 1);
  }
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    const auto rank = static_cast<uint32_t>(__builtin_ctz(rest));
    const uint64_t place = copy.multicast ? inBlock(to, rank) : to,
                   signal = copy.multicast ? inBlock(barrier, rank) : barrier;
    uint8_t *shared = map ? locateBox(warp, in, place, *map) : locateShared(warp, in, place, bytes, 16);
    if (!shared || !blockRuns(warp, in, place))
      return;
    RaceChecker *races = cluster.races.get();
    if (races)
      races->usesBarrier(warp, in, signal);
    const uint32_t agent = races ? races->agentOf(signal) : 0, time = races ? races->tick(agent) : 0;
    if (races && !copy.reduces) // reductions of several blocks do not race
      races->asyncAccess(warp, in, agent, time, place, bytes, true, true);
    cluster.async->onBarrier(in, signal, copy.reduces ? nullptr : shared, bytes, [=, &warp, &in, &copy] {
      if (map)
        loadBox(*map, at.data(), shared, place & 0xffffff);
      else if (copy.reduces)
        reduceInto(copy, shared, source, bytes);
      else
        std::memcpy(shared, source, bytes);
      if (races)
        races->completed(races->mbarrier(signal), agent, time);
      mbarrierComplete(warp, in, signal, static_cast<int64_t>(bytes));
    });
  }
}

void storeOne(Warp &warp, const Instruction &in, const BulkCopy &copy, int lane) {
  Cluster &cluster = *warp.block->cluster;
  const uint64_t from = valueAt(warp, copy.from, lane) & 0xffffffff;
  const TensorMap *map = nullptr;
  uint64_t bytes = 0;
  uint8_t *target = nullptr;
  std::array<int32_t, 5> at{};
  if (copy.tensor) {
    map = mapAt(warp, in, valueAt(warp, copy.to, lane), copy.rank);
    if (!map || !mapIsValid(warp, in, *map))
      return;
    for (int d = 0; d < copy.rank; ++d)
      at[static_cast<size_t>(d)] = warp.reg<int32_t>(copy.coordinates[static_cast<size_t>(d)])[lane];
    bytes = map->boxBytes();
    if (!copy.reduces)
      notePlaces(warp, in, *map, at.data(), true);
  } else {
    bytes = warp.reg<uint32_t>(copy.size)[lane];
    if (!bytes || bytes % 16)
      return warp.fault(in, "{}: expected a size that is a multiple of 16, found {}", warp.describe(lane),
                        bytes);
    target = locateGlobal(warp, in, valueAt(warp, copy.to, lane), bytes, 16);
    if (!target)
      return;
    if (GlobalRaceChecker *races = cluster.launch->globalRaces.get(); races && !copy.reduces)
      races->range(warp, in, valueAt(warp, copy.to, lane), bytes, true);
  }
  const uint8_t *shared = map ? locateBox(warp, in, from, *map) : locateShared(warp, in, from, bytes, 16);
  if (!shared)
    return;
  if (cluster.counters)
    cluster.counters->bulkStoreBytes += bytes;
  if (RaceChecker *races = cluster.races.get()) {
    const uint32_t agent = races->agentOf(warp, RaceChecker::Agent::bulkStores), time = races->tick(agent);
    races->asyncAccess(warp, in, agent, time, from, bytes, false, true);
    bulkGroup(warp).open = time;
  }
  // The source is read at wait_group.read at the latest, the destination written at wait_group.
  const auto data = std::make_shared<std::vector<uint8_t>>();
  cluster.async->inGroup(
      in, AsyncQueue::bulk, warp, lane, nullptr, 0, [=] { data->assign(shared, shared + bytes); },
      [=, &copy] {
        if (map)
          return storeBox(*map, at.data(), data->data(), from & 0xffffff,
                          copy.reduces ? &copy.reduce : nullptr);
        if (!copy.reduces) {
          std::memcpy(target, data->data(), bytes);
          return;
        }
        reduceInto(copy, target, data->data(), bytes);
      });
}

void bulkLanes(Warp &warp, const Instruction &in) {
  const auto &copy = *static_cast<const BulkCopy *>(in.detail);
  ++warp.block->cluster->progress;
  for (Mask rest = warp.active; rest && !warp.block->cluster->faulted; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    if (copy.direction == BulkCopy::prefetch)
      continue;
    if (copy.direction == BulkCopy::toGlobal)
      storeOne(warp, in, copy, lane);
    else
      loadOne(warp, in, copy, lane);
  }
}

BulkCopy::Place placeOf(const Translator::Address &address) {
  return {address.slot, address.bytes, address.offset};
}

/// [map, {x, y, ...}] of a tensor copy.
bool tensorOperand(Translator &t, const Operand &operand, BulkCopy &copy, BulkCopy::Place &place) {
  place = placeOf(t.address(operand));
  if (t.failed())
    return false;
  if (operand.parts.size() != 2 || operand.parts[1].kind != Operand::vector ||
      operand.parts[1].parts.size() != static_cast<size_t>(copy.rank)) {
    t.fail("expected a tensor map and {} coordinates in braces", copy.rank);
    return false;
  }
  for (int d = 0; d < copy.rank; ++d)
    copy.coordinates[static_cast<size_t>(d)] =
        t.source(operand.parts[1].parts[static_cast<size_t>(d)], Type::s32);
  return !t.failed();
}

} // namespace

void bulkCopy(Translator &t, bool reduce) {
  BulkCopy copy;
  copy.reduces = reduce;
  copy.tensor = t.take("tensor");
  if (copy.tensor) {
    copy.rank = t.takeOneOf({"1d", "2d", "3d", "4d", "5d"}) + 1;
    if (!copy.rank)
      return t.fail("expected .1d to .5d");
    t.takeOneOf({"tile"});
  }
  if (t.take("prefetch"))
    copy.direction = BulkCopy::prefetch;
  // Of the two spaces, the first is the destination's.
  const std::vector<std::string_view> &modifiers = t.modifiers();
  std::vector<std::string_view> spaces;
  for (const std::string_view each : modifiers)
    if (each == "global" || each == "shared::cluster" || each == "shared::cta" || each == "L2")
      spaces.push_back(each);
  for (const std::string_view each : spaces)
    t.take(each);
  if (copy.direction != BulkCopy::prefetch && spaces.size() != 2)
    return t.fail("expected two state spaces");
  if (copy.direction != BulkCopy::prefetch)
    copy.direction = spaces[0] == "global"   ? BulkCopy::toGlobal
                     : spaces[1] == "global" ? BulkCopy::toShared
                                             : BulkCopy::sharedToShared;
  copy.multicast = t.take("multicast::cluster");
  t.take("L2::cache_hint");
  t.take("cp_mask");
  const bool onBarrier = t.take("mbarrier::complete_tx::bytes"), inGroup = t.take("bulk_group");
  const bool loads = copy.direction == BulkCopy::toShared || copy.direction == BulkCopy::sharedToShared;
  if ((loads && !onBarrier) || (copy.direction == BulkCopy::toGlobal && !inGroup))
    return t.fail("expected .{}", loads ? "mbarrier::complete_tx::bytes" : "bulk_group");
  if (reduce) {
    const std::optional<AtomicOperation> operation = takeReduction(t);
    if (!operation)
      return;
    copy.reduce = *operation;
    t.take("noftz");
    if (!copy.tensor)
      copy.type = t.needType();
    if (!copy.tensor && (bytesOf(copy.type) < 2 || bytesOf(copy.type) > 8))
      return t.fail("type .{} is not supported", nameOf(copy.type));
  }
  size_t next = 0;
  if (copy.direction == BulkCopy::prefetch) {
    if (copy.tensor)
      tensorOperand(t, t.operand(0), copy, copy.from);
  } else if (copy.direction == BulkCopy::toGlobal) {
    if (copy.tensor && !tensorOperand(t, t.operand(0), copy, copy.to))
      return;
    if (!copy.tensor)
      copy.to = placeOf(t.address(t.operand(0)));
    copy.from = placeOf(t.address(t.operand(1)));
    next = 2;
  } else {
    copy.to = placeOf(t.address(t.operand(0)));
    if (copy.tensor && !tensorOperand(t, t.operand(1), copy, copy.from))
      return;
    if (!copy.tensor)
      copy.from = placeOf(t.address(t.operand(1)));
    next = 2;
  }
  if (!copy.tensor && copy.direction != BulkCopy::prefetch)
    copy.size = t.source(next++, Type::u32);
  if (loads)
    copy.barrier = placeOf(t.address(t.operand(next++)));
  if (copy.multicast)
    copy.mask = t.source(next++, Type::u16);
  Instruction &in = t.emit(&bulkLanes, InstructionClass::bulkCopy);
  in.detail = t.keep(copy);
}

} // namespace sinter::emulator
