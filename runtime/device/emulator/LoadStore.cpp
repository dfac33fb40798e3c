// SPDX-License-Identifier: Apache-2.0
// ld, ldu, st (PTX ISA 9.7.9.8 to 9.7.9.12) with vectors and every cache and eviction hint, which have no
// meaning here.
#include "runtime/device/emulator/LoadStore.h"
#include "runtime/device/emulator/Eights.h"
#include "runtime/device/emulator/GlobalRaces.h"
#include "runtime/device/emulator/Opcodes.h"

#include <algorithm>
#include <cstring>

namespace sinter::emulator {

Space takeSpace(Translator &t, Space otherwise) {
  switch (t.takeOneOf({"global", "shared", "shared::cta", "shared::cluster", "local", "const", "param",
                       "param::entry", "param::func"})) {
  case 0:
    return Space::global;
  case 1:
  case 2:
    return Space::shared;
  case 3:
    return Space::sharedCluster;
  case 4:
    return Space::local;
  case 5:
    return Space::constant;
  case 6:
  case 7:
  case 8:
    return Space::param;
  default:
    return otherwise;
  }
}

/// Order and scope (PTX ISA 8.6): whether an access may race, and whether it orders others.
void takeOrder(Translator &t, Access &access) {
  const int order = t.takeOneOf({"weak", "volatile", "relaxed", "acquire", "release", "acq_rel", "mmio"});
  const int scope = t.takeOneOf({"cta", "cluster", "gpu", "sys"});
  access.scope = scope < 0 ? Scope::gpu : static_cast<Scope>(std::min(scope, 2));
  access.synchronizes = order > 0;
  access.acquires = order == 3 || order == 5;
  access.releases = order == 4 || order == 5;
}

/// Hints for caches: accepted, without effect.
void takeCacheHints(Translator &t) {
  while (t.takeOneOf({"ca",
                      "cg",
                      "cs",
                      "lu",
                      "cv",
                      "wb",
                      "wt",
                      "nc",
                      "L1::evict_normal",
                      "L1::evict_unchanged",
                      "L1::evict_first",
                      "L1::evict_last",
                      "L1::no_allocate",
                      "L2::cache_hint",
                      "L2::64B",
                      "L2::128B",
                      "L2::256B",
                      "L2::evict_first",
                      "L2::evict_last",
                      "L2::evict_normal",
                      "unified"}) >= 0)
    continue;
}

namespace {

/// The frequent case in a few vector instructions: all lanes inside of the block's own shared memory, or of
/// the allocation that was accessed last; nothing to count, no races to look for. False: take the long way,
/// which also finds what is wrong.
template <typename A>
bool inShared(Warp &warp, const Instruction &in, const Access &access, uint32_t (&offsets)[32]) {
  const Block &block = *warp.block;
  return warp.active == allLanes && !block.cluster->races && !block.cluster->launch->options.counters &&
         offsetsInShared(block, warp.reg<A>(in.a), in.offset, access.bytes, access.bytes, offsets);
}
bool inAllocation(Warp &warp, const Instruction &in, const Access &access, uint64_t (&addresses)[32]) {
  if (warp.active != allLanes || warp.block->cluster->races || warp.block->cluster->launch->options.counters)
    return false;
  const uint64_t *base = warp.reg<uint64_t>(in.a), add = static_cast<uint64_t>(in.offset);
  auto &ranges = warp.ranges;
  for (size_t i = 1; i < ranges.size() && !ranges[0].holds(base[0] + add, access.bytes); ++i)
    std::swap(ranges[0], ranges[i]);
  const uint64_t low = ranges[0].low, last = ranges[0].high - access.bytes - low;
  if (ranges[0].high < low + access.bytes)
    return false;
  uint64_t outside = 0, bits = 0; // the sign of what is negative
  SINTER_EACH_LANE {
    const uint64_t address = base[lane] + add, from = address - low;
    addresses[lane] = address;
    outside |= from | (last - from);
    bits |= address;
  }
  return !(outside >> 63) && !(bits & (access.bytes - 1));
}

/// Calls copy(place of a lane, addresses) for all lanes, if they are in the frequent case.
template <typename F> bool quickly(Warp &warp, const Instruction &in, const Access &access, F copy) {
  if (access.space == Space::shared) {
    uint32_t offsets[32];
    if (access.addressBytes == 4 ? !inShared<uint32_t>(warp, in, access, offsets)
                                 : !inShared<uint64_t>(warp, in, access, offsets))
      return false;
    uint8_t *shared = warp.block->shared.data();
    copy([&](int lane) { return shared + offsets[lane]; }, offsets);
    return true;
  }
  if (access.space == Space::global && access.addressBytes == 8) {
    uint64_t addresses[32];
    if (!inAllocation(warp, in, access, addresses))
      return false;
    copy([&](int lane) { return reinterpret_cast<uint8_t *>(addresses[lane]); }, addresses);
    return true;
  }
  return false;
}

/// Vectors of 4 words, the most frequent ones: 8 lanes at a time are turned in registers.
template <typename Place> void loadQuads(Warp &warp, const uint32_t *slots, Place place) {
  for (int eight = 0; eight < eights; ++eight) {
    const std::array<Eight, 4> parts = loadTurned([&](int i) { return place(eight * 8 + i); });
    for (int part = 0; part < 4; ++part)
      store(warp.frame + slots[part] + eight * eightBytes, parts[part]);
  }
}
template <typename Place> void storeQuads(Warp &warp, const uint32_t *slots, Place place) {
  for (int eight = 0; eight < eights; ++eight) {
    std::array<Eight, 4> parts;
    for (int part = 0; part < 4; ++part)
      parts[part] = load(warp.frame + slots[part] + eight * eightBytes);
    storeTurned(parts, [&](int i) { return place(eight * 8 + i); });
  }
}

/// Words that are neighbours, 8 at a time, or the same in all lanes. False if they are neither.
template <typename Place, typename A>
bool loadAlike(Warp &warp, uint32_t slot, Place place, const A (&addresses)[32]) {
  const bool equal = areEqual(addresses);
  if (!equal && !areNeighbours(addresses))
    return false;
  for (int eight = 0; eight < eights; ++eight)
    store(warp.frame + slot + eight * eightBytes, equal ? broadcast(place(0)) : load(place(eight * 8)));
  return true;
}
template <typename Place, typename A>
bool storeNeighbours(Warp &warp, uint32_t slot, Place place, const A (&addresses)[32]) {
  if (!areNeighbours(addresses))
    return false;
  for (int eight = 0; eight < eights; ++eight)
    store(place(eight * 8), load(warp.frame + slot + eight * eightBytes));
  return true;
}

/// A volatile, relaxed or acquiring load may be part of a loop that waits: after some of them, others run.
void mayWait(Warp &warp) {
  constexpr uint32_t patience = 64;
  if (++warp.spins < patience)
    return;
  warp.spins = 0;
  warp.yields = true;
  warp.leave();
}

template <typename T> void loadLanes(Warp &warp, const Instruction &in) {
  const auto &access = *static_cast<const Access *>(in.detail);
  const uint32_t *slots = warp.program->lists.data() + in.list;
  if (access.synchronizes)
    mayWait(warp);
  const bool done = quickly(warp, in, access, [&](auto place, const auto &addresses) {
    if (sizeof(T) == 4 && in.count == 4)
      return loadQuads(warp, slots, place);
    if (sizeof(T) == 4 && in.count == 1 && loadAlike(warp, slots[0], place, addresses))
      return;
    for (uint32_t part = 0; part < in.count; ++part) {
      T *d = warp.reg<T>(slots[part]);
      for (int lane = 0; lane < lanesOfWarp; ++lane)
        d[lane] = *reinterpret_cast<const T *>(place(lane) + part * sizeof(T));
    }
  });
  uint8_t *host[32];
  if (done || !locate(warp, in, access, host))
    return;
  const Mask active = warp.active;
  // All addresses are known, so a destination may be the register of the address.
  for (uint32_t part = 0; part < in.count; ++part) {
    T *d = warp.reg<T>(slots[part]);
    if (active == allLanes) {
      for (int lane = 0; lane < lanesOfWarp; ++lane)
        d[lane] = *reinterpret_cast<const T *>(host[lane] + part * sizeof(T));
    } else {
      for (Mask rest = active; rest; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        d[lane] = *reinterpret_cast<const T *>(host[lane] + part * sizeof(T));
      }
    }
  }
  if (access.synchronizes)
    if (GlobalRaceChecker *races = warp.block->cluster->launch->globalRaces.get())
      races->found(warp, access, host, active);
}

template <typename T> void storeLanes(Warp &warp, const Instruction &in) {
  const auto &access = *static_cast<const Access *>(in.detail);
  const uint32_t *slots = warp.program->lists.data() + in.list;
  const bool done = quickly(warp, in, access, [&](auto place, const auto &addresses) {
    if (sizeof(T) == 4 && in.count == 4)
      return storeQuads(warp, slots, place);
    if (sizeof(T) == 4 && in.count == 1 && storeNeighbours(warp, slots[0], place, addresses))
      return;
    for (uint32_t part = 0; part < in.count; ++part) {
      const T *s = warp.reg<T>(slots[part]);
      for (int lane = 0; lane < lanesOfWarp; ++lane)
        *reinterpret_cast<T *>(place(lane) + part * sizeof(T)) = s[lane];
    }
  });
  uint8_t *host[32];
  if (done || !locate(warp, in, access, host))
    return;
  for (uint32_t part = 0; part < in.count; ++part) {
    const T *s = warp.reg<T>(slots[part]);
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      *reinterpret_cast<T *>(host[lane] + part * sizeof(T)) = s[lane];
  }
}

/// A parameter of the kernel: all lanes read the same value.
template <typename T> void loadParameter(Warp &warp, const Instruction &in) {
  const auto *host =
      reinterpret_cast<const uint8_t *>(*warp.reg<uint64_t>(in.a) + static_cast<uint64_t>(in.offset));
  const uint32_t *slots = warp.program->lists.data() + in.list;
  for (uint32_t part = 0; part < in.count; ++part) {
    T value;
    std::memcpy(&value, host + part * sizeof(T), sizeof(T));
    writeLanes<true, T>(warp, slots[part], [=](int) { return value; });
  }
}

InstructionClass classOf(Space space, bool load) {
  switch (space) {
  case Space::shared:
  case Space::sharedCluster:
    return load ? InstructionClass::sharedLoad : InstructionClass::sharedStore;
  case Space::local:
    return InstructionClass::localAccess;
  case Space::param:
  case Space::constant:
    return InstructionClass::constantLoad;
  default:
    return load ? InstructionClass::globalLoad : InstructionClass::globalStore;
  }
}

template <bool isLoad> void loadOrStore(Translator &t) {
  if (!isLoad && t.take("async"))
    return storeAsync(t);
  Access access;
  access.kind = isLoad ? AccessKind::load : AccessKind::store;
  takeOrder(t, access);
  access.space = takeSpace(t, Space::generic);
  takeCacheHints(t);
  const int vector = t.takeOneOf({"v2", "v4", "v8"});
  const unsigned parts = vector < 0 ? 1 : 2u << vector;
  const Type type = t.needType();
  const unsigned bytes = bytesOf(type);
  if (!bytes || type == Type::pred || (bytes == 16 && vector >= 0))
    return t.fail("type .{} is not supported", nameOf(type));
  access.bytes = bytes * parts;
  const Operand &written = t.operand(isLoad ? 0 : 1);
  // One register may stand in braces, too.
  const Operand &data = vector < 0 && written.parts.size() == 1 ? written.parts[0] : written;
  Translator::Address address = t.address(t.operand(isLoad ? 1 : 0));
  if (t.failed())
    return;
  if (vector >= 0 && (data.kind != Operand::vector || data.parts.size() != parts))
    return t.fail("expected {} registers in braces", parts);
  if (t.operandCount() > 3)
    return t.fail("expected at most 3 operands");
  if (access.space == Space::param || access.space == Space::generic) {
    // .param of a call is memory of the thread; a named variable's space is known.
    if (address.space != Space::generic)
      access.space = address.kernelParameter ? Space::param : address.space;
    else if (access.space == Space::param)
      access.space = t.isFunction() ? Space::local : Space::global;
  }
  if (address.kernelParameter && !isLoad)
    return t.fail("expected memory that can be written, found a parameter of the kernel");
  if (address.kernelParameter &&
      (address.inParameter < 0 || static_cast<uint64_t>(address.inParameter) > address.parameterBytes ||
       access.bytes > address.parameterBytes - static_cast<uint64_t>(address.inParameter)))
    return t.fail("expected bytes of a parameter of {}, found {} from byte {} on", address.parameterBytes,
                  access.bytes, address.inParameter);
  access.addressBytes = address.bytes;
  std::vector<uint32_t> slots;
  for (unsigned part = 0; part < parts; ++part) {
    const Operand &each = vector < 0 ? data : data.parts[part];
    slots.push_back(isLoad ? t.target(each, type) : t.source(each, type));
  }
  const auto pick = [&]<typename T>() -> Handler {
    if (!isLoad)
      return &storeLanes<T>;
    return address.kernelParameter ? &loadParameter<T> : &loadLanes<T>;
  };
  Instruction &in = t.emit(bytes == 1   ? pick.template operator()<uint8_t>()
                           : bytes == 2 ? pick.template operator()<uint16_t>()
                           : bytes == 4 ? pick.template operator()<uint32_t>()
                           : bytes == 8 ? pick.template operator()<uint64_t>()
                                        : pick.template operator()<unsigned __int128>(),
                           classOf(access.space, isLoad));
  in.a = address.slot;
  in.offset = address.offset;
  t.list(in, slots);
  in.detail = t.keep(access);
}

/// createpolicy gives an opaque number that loads accept as a hint.
void createpolicy(Translator &t) {
  while (!t.modifiers().empty())
    t.take(std::string_view(t.modifiers().front()));
  const uint32_t d = t.target(0, Type::b64);
  t.emit(
       +[](Warp &warp, const Instruction &in) {
         writeLanes<true, uint64_t>(warp, in.d, [](int) { return uint64_t(1); });
       },
       InstructionClass::other)
      .d = d;
}

} // namespace

Handler loadOfWords() { return &loadLanes<uint32_t>; }

std::span<const Opcode> loadStoreOpcodes() {
  static constexpr Opcode table[] = {{"ld", loadOrStore<true>},
                                     {"ldu", loadOrStore<true>},
                                     {"st", loadOrStore<false>},
                                     {"createpolicy", createpolicy}};
  return table;
}

} // namespace sinter::emulator
