// SPDX-License-Identifier: Apache-2.0
// mbarrier (PTX ISA 9.7.13.15): phases, arrivals and transactions, also of other blocks of the cluster;
// st.async.
#include "runtime/device/emulator/AsyncQueue.h"
#include "runtime/device/emulator/Atomics.h"
#include "runtime/device/emulator/Barriers.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/LoadStore.h"
#include "runtime/device/emulator/Opcodes.h"
#include "runtime/device/emulator/Races.h"

#include <algorithm>
#include <cstring>

namespace sinter::emulator {

namespace {

constexpr int countBits = 20, byteBits = 21;
constexpr uint64_t mark = 2; // in the top two bits: what says "this is an mbarrier"

constexpr int64_t byteLimit = (1 << 20) - 1;

uint64_t field(uint64_t bits, int at, int width) { return bits >> at & ((1ull << width) - 1); }

uint64_t sharedAddress(uint64_t address) { return address & 0xffffffff; }

/// The mbarrier at an address, and where its bits are; null after a fault.
uint8_t *loadBarrier(Warp &warp, const Instruction &in, uint64_t address, MBarrier &barrier) {
  uint8_t *place = locateShared(warp, in, address, 8, 8);
  if (!place)
    return nullptr;
  uint64_t bits;
  std::memcpy(&bits, place, 8);
  if (!MBarrier::decode(bits, barrier)) {
    warp.fault(in, "{}: expected an initialised mbarrier at {:#x}", warp.describe(), sharedAddress(address));
    return nullptr;
  }
  return place;
}

/// Stores the barrier; if its phase is over, starts the next and wakes who waits.
void storeBarrier(Warp &warp, uint8_t *place, uint64_t address, MBarrier barrier) {
  Cluster &cluster = *warp.block->cluster;
  ++cluster.progress;
  if (barrier.pending == 0 && barrier.transactions == 0) {
    barrier.phase = !barrier.phase;
    barrier.pending = static_cast<int32_t>(barrier.expected);
    for (Block &block : cluster.blocks)
      for (Warp &each : block.warps)
        for (Group &group : each.groups)
          if (group.wait.kind == Wait::mbarrier && group.wait.address == sharedAddress(address))
            group.wait = {};
  }
  const uint64_t bits = barrier.encode();
  std::memcpy(place, &bits, 8);
}

void acquireBarrier(Warp &warp, uint64_t address) {
  if (RaceChecker *races = warp.block->cluster->races.get())
    races->acquire(warp, races->mbarrier(sharedAddress(address)));
}

} // namespace

uint64_t MBarrier::encode() const {
  return mark << 62 | static_cast<uint64_t>(phase) << 61 | static_cast<uint64_t>(expected) << 41 |
         field(static_cast<uint64_t>(pending), 0, countBits) << byteBits |
         field(static_cast<uint64_t>(transactions), 0, byteBits);
}

bool MBarrier::decode(uint64_t bits, MBarrier &barrier) {
  if (bits >> 62 != mark)
    return false;
  barrier.phase = field(bits, 61, 1);
  barrier.expected = static_cast<uint32_t>(field(bits, 41, countBits));
  barrier.pending = static_cast<int32_t>(field(bits, byteBits, countBits));
  const auto low = static_cast<int32_t>(field(bits, 0, byteBits));
  barrier.transactions = low << (32 - byteBits) >> (32 - byteBits);
  return true;
}

bool mbarrierArrive(Warp &warp, const Instruction &in, uint64_t address, const Arrival &arrival) {
  MBarrier barrier;
  uint8_t *place = loadBarrier(warp, in, address, barrier);
  if (!place)
    return false;
  if (arrival.state)
    *arrival.state = barrier.encode();
  if (RaceChecker *races = warp.block->cluster->races.get(); races && arrival.count && arrival.releases)
    races->release(warp, races->mbarrier(sharedAddress(address)));
  if (const int64_t bytes = int64_t(barrier.transactions) + arrival.bytes; bytes > byteLimit) {
    warp.fault(in, "mbarrier at {:#x}: expected at most {} bytes outstanding, found {}",
               sharedAddress(address), byteLimit, bytes);
    return false;
  }
  barrier.transactions += static_cast<int32_t>(arrival.bytes);
  barrier.pending -= static_cast<int32_t>(arrival.count);
  if (barrier.pending < 0) {
    warp.fault(in, "mbarrier at {:#x}: more arrivals than the {} its phase expects", sharedAddress(address),
               barrier.expected);
    return false;
  }
  if (!arrival.completes && !barrier.pending && !barrier.transactions) {
    warp.fault(in, "mbarrier at {:#x}: .noComplete, but the arrival completes the phase",
               sharedAddress(address));
    return false;
  }
  if (arrival.drops)
    barrier.expected -= arrival.count;
  storeBarrier(warp, place, address, barrier);
  return true;
}

bool mbarrierComplete(Warp &warp, const Instruction &in, uint64_t address, int64_t bytes) {
  MBarrier barrier;
  uint8_t *place = loadBarrier(warp, in, address, barrier);
  if (!place)
    return false;
  const int64_t left = barrier.transactions - bytes;
  if (left < -byteLimit) {
    warp.fault(in, "mbarrier at {:#x}: {} bytes completed that nobody expects", sharedAddress(address),
               -left);
    return false;
  }
  barrier.transactions = static_cast<int32_t>(left);
  storeBarrier(warp, place, address, barrier);
  return true;
}

namespace {

struct BarrierInstruction {
  unsigned addressBytes = 8;
  bool drop = false, noComplete = false, expect = false, parity = false, tries = false, complete = false;
  bool relaxed = false; // orders nothing
};

template <typename F> void eachAddress(Warp &warp, const Instruction &in, F body) {
  uint64_t addresses[32];
  laneAddresses(warp, in.a, static_cast<const BarrierInstruction *>(in.detail)->addressBytes, in.offset,
                addresses);
  for (Mask rest = warp.active; rest && !warp.block->cluster->faulted; rest &= rest - 1)
    if (const int lane = __builtin_ctz(rest); blockRuns(warp, in, addresses[lane]))
      body(lane, addresses[lane]);
}

/// Only the block that an mbarrier belongs to may initialise it, wait for it or have its state (PTX ISA
/// 9.7.13.15: .shared::cta). A fault otherwise.
bool isOwn(Warp &warp, const Instruction &in, uint64_t address) {
  const uint64_t rank = sharedAddress(address) >> sharedRankShift;
  if (rank == warp.block->rank)
    return true;
  warp.fault(in, "{}: expected an mbarrier of its own block, found one of block {} of its cluster",
             warp.describe(), rank);
  return false;
}

void initLanes(Warp &warp, const Instruction &in) {
  eachAddress(warp, in, [&](int lane, uint64_t address) {
    if (!isOwn(warp, in, address))
      return;
    const uint32_t count = warp.reg<uint32_t>(in.b)[lane];
    if (!count || count >= 1u << countBits)
      return warp.fault(in, "expected an arrival count from 1 to 1048575, found {}", count);
    if (uint8_t *place = locateShared(warp, in, address, 8, 8)) {
      MBarrier barrier;
      barrier.expected = count;
      barrier.pending = static_cast<int32_t>(count);
      const uint64_t bits = barrier.encode();
      std::memcpy(place, &bits, 8);
      if (RaceChecker *races = warp.block->cluster->races.get())
        races->barrierInitialized(warp, in, sharedAddress(address));
    }
  });
}

void usesBarrier(Warp &warp, const Instruction &in, uint64_t address) {
  if (RaceChecker *races = warp.block->cluster->races.get())
    races->usesBarrier(warp, in, sharedAddress(address));
}

void invalLanes(Warp &warp, const Instruction &in) {
  eachAddress(warp, in, [&](int, uint64_t address) {
    MBarrier barrier;
    if (uint8_t *place = loadBarrier(warp, in, address, barrier))
      std::memset(place, 0, 8);
  });
}

/// arrive, arrive_drop, arrive.expect_tx. Slots: b: count or bytes (0: one arrival), d: state.
void arriveLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const BarrierInstruction *>(in.detail);
  eachAddress(warp, in, [&](int lane, uint64_t address) {
    const uint32_t value = in.b ? warp.reg<uint32_t>(in.b)[lane] : 1, count = how.expect ? 1 : value;
    if (!count || count >= 1u << countBits)
      return warp.fault(in, "expected 1 to 1048575 arrivals, found {}", count);
    if (in.d && !isOwn(warp, in, address))
      return;
    usesBarrier(warp, in, address);
    uint64_t state = 0;
    if (mbarrierArrive(warp, in, address,
                       {count, how.expect ? value : 0, how.drop, !how.noComplete, !how.relaxed, &state}) &&
        in.d)
      warp.reg<uint64_t>(in.d)[lane] = state;
  });
}

void transactionLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const BarrierInstruction *>(in.detail);
  eachAddress(warp, in, [&](int lane, uint64_t address) {
    const uint32_t bytes = warp.reg<uint32_t>(in.b)[lane];
    usesBarrier(warp, in, address);
    if (how.complete)
      mbarrierComplete(warp, in, address, bytes);
    else
      mbarrierArrive(warp, in, address, {.count = 0, .bytes = bytes});
  });
}

/// test_wait and try_wait, of a state or a parity. A try_wait that finds its phase incomplete waits for it;
/// it never times out. test_wait gives false, and lets others run.
void waitLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const BarrierInstruction *>(in.detail);
  Cluster &cluster = *warp.block->cluster;
  Mask done = 0, open = 0;
  uint64_t addresses[32];
  bool parities[32];
  eachAddress(warp, in, [&](int lane, uint64_t address) {
    MBarrier barrier, state;
    if (!isOwn(warp, in, address) || !loadBarrier(warp, in, address, barrier))
      return;
    usesBarrier(warp, in, address);
    bool awaited = false;
    if (how.parity)
      awaited = warp.reg<uint32_t>(in.b)[lane] & 1;
    else if (MBarrier::decode(warp.reg<uint64_t>(in.b)[lane], state))
      awaited = state.phase;
    else
      return warp.fault(in, "expected the state that mbarrier.arrive gave");
    addresses[lane] = sharedAddress(address);
    parities[lane] = awaited;
    (barrier.phase != awaited ? done : open) |= 1u << lane;
    if (barrier.phase != awaited && !how.relaxed)
      acquireBarrier(warp, address);
  });
  if (cluster.faulted)
    return;
  if (!open || !how.tries) {
    writePredicate(warp, in.d, done);
    if (open) {
      for (Mask rest = open; rest; rest &= rest - 1)
        cluster.async->polled(addresses[__builtin_ctz(rest)]);
      warp.yields = true;
      warp.leave();
    }
    return;
  }
  if (cluster.counters)
    ++cluster.counters->mbarrierWaits;
  const Mask all = warp.active;
  for (Mask rest = open; rest;) {
    const int lane = __builtin_ctz(rest);
    Mask same = 0;
    for (Mask each = rest; each; each &= each - 1)
      if (const int other = __builtin_ctz(each);
          addresses[other] == addresses[lane] && parities[other] == parities[lane])
        same |= 1u << other;
    Wait wait;
    wait.kind = Wait::mbarrier;
    wait.address = addresses[lane];
    wait.phase = parities[lane];
    warp.active = same;
    warp.suspend(wait, true);
    rest &= ~same;
  }
  warp.active = all & ~open;
  if (warp.active)
    writePredicate(warp, in.d, done);
}

void mbarrier(Translator &t) {
  const int kind = t.takeOneOf({"init", "inval", "arrive", "arrive_drop", "expect_tx", "complete_tx",
                                "test_wait", "try_wait", "pending_count"});
  BarrierInstruction how;
  how.expect = (kind == 2 || kind == 3) && t.take("expect_tx");
  how.drop = kind == 3;
  how.complete = kind == 5;
  how.tries = kind == 7;
  how.parity = t.take("parity");
  how.noComplete = t.take("noComplete");
  how.relaxed = t.takeOneOf({"release", "acquire", "relaxed"}) == 2;
  t.takeOneOf({"cta", "cluster"});
  takeSpace(t, Space::shared);
  t.needType();
  if (kind < 0)
    return t.fail("unknown operation on mbarriers");
  if (kind == 8) { // mbarrier.pending_count.b64 count, state
    const uint32_t a = t.source(1, Type::b64), d = t.target(0, Type::b32);
    Instruction &in = t.emit(
        +[](Warp &warp, const Instruction &in) {
          const uint64_t *a = warp.reg<uint64_t>(in.a);
          writeLanes<true, uint32_t>(warp, in.d, [=](int lane) {
            return static_cast<uint32_t>(field(a[lane], byteBits, countBits));
          });
        },
        InstructionClass::barrier);
    in.a = a, in.d = d;
    return;
  }
  const bool hasResult = kind == 2 || kind == 3 || kind == 6 || kind == 7;
  const Translator::Address address =
      t.address(t.operand(hasResult && t.operand(0).kind != Operand::address ? 1 : 0));
  const size_t second = hasResult && t.operand(0).kind != Operand::address ? 2 : 1;
  how.addressBytes = address.bytes;
  uint32_t b = 0, d = 0;
  if (t.operandCount() > second)
    b = t.source(second, kind >= 6 && !how.parity ? Type::b64 : Type::b32);
  if (second == 2)
    d = kind >= 6 ? t.predicateTarget(t.operand(0)) : t.target(0, Type::b64);
  if (!b && (kind == 0 || kind >= 4 || how.expect))
    return t.fail("expected one more operand");
  static constexpr Handler handlers[] = {&initLanes,        &invalLanes,       &arriveLanes, &arriveLanes,
                                         &transactionLanes, &transactionLanes, &waitLanes,   &waitLanes};
  Instruction &in = t.emit(handlers[kind], InstructionClass::barrier);
  in.a = address.slot, in.b = b, in.d = d;
  in.offset = address.offset;
  in.detail = t.keep(how);
}

struct StoreAsync {
  BarrierInstruction address;
  unsigned barrierBytes = 8, bytes = 4, parts = 1;
  int64_t barrierOffset = 0;
  bool reduces = false; // red.async
  AtomicOperation operation = AtomicOperation::add;
  Type type = Type::b32;
};

/// st.async and red.async [a], b, [mbar]: the bytes arrive with complete_tx on the barrier of the block they
/// go to.
void storeAsyncLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const StoreAsync *>(in.detail);
  uint64_t addresses[32], barriers[32];
  laneAddresses(warp, in.a, how.address.addressBytes, in.offset, addresses);
  laneAddresses(warp, in.b, how.barrierBytes, how.barrierOffset, barriers);
  const uint32_t *slots = warp.program->lists.data() + in.list;
  eachActive(warp, [&](int lane) {
    const unsigned bytes = how.bytes * how.parts;
    std::array<uint8_t, 32> data{};
    for (unsigned part = 0; part < how.parts; ++part)
      std::memcpy(data.data() + part * how.bytes,
                  warp.frame + slots[part] + how.bytes * static_cast<unsigned>(lane), how.bytes);
    uint8_t *place = locateShared(warp, in, addresses[lane], bytes, bytes);
    if (!place || !blockRuns(warp, in, addresses[lane]))
      return;
    RaceChecker *races = warp.block->cluster->races.get();
    const uint64_t barrier = sharedAddress(barriers[lane]);
    usesBarrier(warp, in, barrier);
    const uint32_t agent = races ? races->agentOf(barrier) : 0, time = races ? races->tick(agent) : 0;
    if (races && !how.reduces) // reductions of several threads do not race
      races->asyncAccess(warp, in, agent, time, addresses[lane], bytes, true, true);
    warp.block->cluster->async->onBarrier(
        in, barrier, how.reduces ? nullptr : place, bytes,
        [&warp, &in, &how, place, data, bytes, barrier, races, agent, time] {
          if (how.reduces) {
            uint64_t value = 0;
            std::memcpy(&value, data.data(), bytes);
            atomicUpdate(place, how.operation, how.type, value, 0);
          } else {
            std::memcpy(place, data.data(), bytes);
          }
          if (races)
            races->completed(races->mbarrier(barrier), agent, time);
          mbarrierComplete(warp, in, barrier, bytes);
        });
  });
}

} // namespace

static void storeOrReduceAsync(Translator &t, bool reduces) {
  StoreAsync how;
  how.reduces = reduces;
  t.takeOneOf({"weak", "relaxed"});
  t.take("cluster");
  takeSpace(t, Space::sharedCluster);
  if (!t.take("mbarrier::complete_tx::bytes"))
    return t.fail("expected .mbarrier::complete_tx::bytes");
  if (reduces) {
    const std::optional<AtomicOperation> operation = takeReduction(t);
    if (!operation)
      return;
    how.operation = *operation;
  }
  const int vector = t.takeOneOf({"v2", "v4"});
  const Type type = t.needType();
  how.parts = vector < 0 ? 1 : 2u << vector;
  how.bytes = bytesOf(type);
  how.type = type;
  if (how.bytes < 4 || how.bytes > 8 || (reduces && isFloat(type)) || (reduces && vector >= 0))
    return t.fail("type .{} is not supported", nameOf(type));
  const Translator::Address address = t.address(t.operand(0)), barrier = t.address(t.operand(2));
  how.address.addressBytes = address.bytes;
  how.barrierBytes = barrier.bytes;
  how.barrierOffset = barrier.offset;
  if (vector >= 0 && t.operand(1).parts.size() != how.parts)
    return t.fail("expected {} registers in braces", how.parts);
  std::vector<uint32_t> slots;
  for (unsigned part = 0; part < how.parts && !t.failed(); ++part)
    slots.push_back(t.source(vector < 0 ? t.operand(1) : t.operand(1).parts[part], type));
  Instruction &in = t.emit(&storeAsyncLanes, InstructionClass::bulkCopy);
  in.a = address.slot, in.b = barrier.slot;
  in.offset = address.offset;
  t.list(in, slots);
  in.detail = t.keep(how);
}
void storeAsync(Translator &t) { storeOrReduceAsync(t, false); }
void reduceAsync(Translator &t) { storeOrReduceAsync(t, true); }

namespace {

/// mapa d, a, b: the address a of this block in block b of the cluster. getctarank d, a: which block a
/// belongs to.
void mapa(Translator &t) {
  takeSpace(t, Space::generic);
  const Type type = t.needType();
  const uint32_t a = t.source(1, type), b = t.source(2, Type::u32), d = t.target(0, type);
  const auto move = [](auto x, uint32_t rank) {
    return static_cast<decltype(x)>((x & ~(decltype(x)(0xff) << sharedRankShift)) | decltype(x)(rank)
                                                                                        << sharedRankShift);
  };
  Instruction &in = t.emit(bytesOf(type) == 8 ? binary<uint64_t, uint64_t, uint32_t>(move)
                                              : binary<uint32_t, uint32_t, uint32_t>(move),
                           InstructionClass::integer);
  in.a = a, in.b = b, in.d = d;
}
void getctarank(Translator &t) {
  takeSpace(t, Space::generic);
  const Type type = t.needType();
  const uint32_t a = t.source(1, type), d = t.target(0, Type::u32);
  const auto rank = [](auto x) { return static_cast<uint32_t>(x >> sharedRankShift & 0xff); };
  Instruction &in =
      t.emit(bytesOf(type) == 8 ? unary<uint32_t, uint64_t>(rank) : unary<uint32_t, uint32_t>(rank),
             InstructionClass::integer);
  in.a = a, in.d = d;
}

} // namespace

std::span<const Opcode> mbarrierOpcodes() {
  static constexpr Opcode table[] = {{"mbarrier", mbarrier}, {"mapa", mapa}, {"getctarank", getctarank}};
  return table;
}

} // namespace sinter::emulator
