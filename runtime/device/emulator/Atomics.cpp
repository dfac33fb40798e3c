// SPDX-License-Identifier: Apache-2.0
// atom, red, membar and fence (PTX ISA 9.7.13.4 to 9.7.13.6). Lanes update one after the other; clusters on
// other threads see each update whole.
#include "runtime/device/emulator/Atomics.h"
#include "runtime/device/emulator/GlobalRaces.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/LoadStore.h"
#include "runtime/device/emulator/Opcodes.h"
#include "runtime/device/emulator/Races.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <mutex>

namespace sinter::emulator {

namespace {

template <typename T, typename F> T update(uint8_t *place, F change) {
  std::atomic_ref<T> value(*reinterpret_cast<T *>(place));
  T old = value.load(std::memory_order_relaxed);
  while (!value.compare_exchange_weak(old, change(old), std::memory_order_acq_rel, std::memory_order_relaxed))
    continue;
  return old;
}

template <typename H> uint16_t addNarrow(uint16_t a, uint16_t b) {
  return H(static_cast<float>(std::bit_cast<H>(a)) + static_cast<float>(std::bit_cast<H>(b))).bits;
}
template <typename H> uint16_t pickNarrow(uint16_t a, uint16_t b, bool maximum) {
  const float x = static_cast<float>(std::bit_cast<H>(a)), y = static_cast<float>(std::bit_cast<H>(b));
  return std::isnan(x) ? b : std::isnan(y) ? a : (maximum ? x > y : x < y) ? a : b;
}
uint16_t narrow(AtomicOperation op, bool isHalf, uint16_t a, uint16_t b) {
  if (op == AtomicOperation::add)
    return isHalf ? addNarrow<Half>(a, b) : addNarrow<Bfloat>(a, b);
  const bool maximum = op == AtomicOperation::max;
  return isHalf ? pickNarrow<Half>(a, b, maximum) : pickNarrow<Bfloat>(a, b, maximum);
}

template <typename T> T integer(AtomicOperation op, T old, T b, T c) {
  switch (op) {
  case AtomicOperation::add:
    return static_cast<T>(static_cast<std::make_unsigned_t<T>>(old) +
                          static_cast<std::make_unsigned_t<T>>(b));
  case AtomicOperation::min:
    return std::min(old, b);
  case AtomicOperation::max:
    return std::max(old, b);
  case AtomicOperation::andBits:
    return old & b;
  case AtomicOperation::orBits:
    return old | b;
  case AtomicOperation::xorBits:
    return old ^ b;
  case AtomicOperation::exchange:
    return b;
  case AtomicOperation::compareAndSwap:
    return old == b ? c : old;
  case AtomicOperation::increment:
    return static_cast<std::make_unsigned_t<T>>(old) >= static_cast<std::make_unsigned_t<T>>(b) ? 0 : old + 1;
  case AtomicOperation::decrement:
    return old == 0 || static_cast<std::make_unsigned_t<T>>(old) > static_cast<std::make_unsigned_t<T>>(b)
               ? b
               : old - 1;
  }
  return old;
}

} // namespace

uint64_t atomicUpdate(uint8_t *place, AtomicOperation op, Type type, uint64_t b, uint64_t c) {
  switch (type) {
  case Type::b16:
  case Type::u16:
    return update<uint16_t>(place, [&](uint16_t old) {
      return integer<uint16_t>(op, old, static_cast<uint16_t>(b), static_cast<uint16_t>(c));
    });
  case Type::b32:
  case Type::u32:
    return update<uint32_t>(place, [&](uint32_t old) {
      return integer<uint32_t>(op, old, static_cast<uint32_t>(b), static_cast<uint32_t>(c));
    });
  case Type::s32:
    return update<uint32_t>(place, [&](uint32_t old) {
      return static_cast<uint32_t>(
          integer<int32_t>(op, static_cast<int32_t>(old), static_cast<int32_t>(b), static_cast<int32_t>(c)));
    });
  case Type::b64:
  case Type::u64:
    return update<uint64_t>(place, [&](uint64_t old) { return integer<uint64_t>(op, old, b, c); });
  case Type::s64:
    return update<uint64_t>(place, [&](uint64_t old) {
      return static_cast<uint64_t>(
          integer<int64_t>(op, static_cast<int64_t>(old), static_cast<int64_t>(b), static_cast<int64_t>(c)));
    });
  case Type::f32:
    return update<uint32_t>(place, [&](uint32_t old) {
      const float x = std::bit_cast<float>(old), y = std::bit_cast<float>(static_cast<uint32_t>(b));
      return std::bit_cast<uint32_t>(op == AtomicOperation::add   ? x + y
                                     : op == AtomicOperation::max ? std::fmax(x, y)
                                                                  : std::fmin(x, y));
    });
  case Type::f64:
    return update<uint64_t>(place, [&](uint64_t old) {
      return std::bit_cast<uint64_t>(std::bit_cast<double>(old) + std::bit_cast<double>(b));
    });
  case Type::f16:
  case Type::bf16:
    return update<uint16_t>(
        place, [&](uint16_t old) { return narrow(op, type == Type::f16, old, static_cast<uint16_t>(b)); });
  case Type::f16x2:
  case Type::bf16x2:
    return update<uint32_t>(place, [&](uint32_t old) {
      const bool half = type == Type::f16x2;
      return narrow(op, half, static_cast<uint16_t>(old), static_cast<uint16_t>(b)) |
             static_cast<uint32_t>(
                 narrow(op, half, static_cast<uint16_t>(old >> 16), static_cast<uint16_t>(b >> 16)))
                 << 16;
    });
  default:
    return 0;
  }
}

namespace {

struct Atomic {
  Access access;
  AtomicOperation operation;
  Type type;
  unsigned parts = 1;
};

/// exch and cas of 16 bytes: of the clusters on all threads one at a time.
void atomic128(Warp &warp, const Instruction &in, const Access &access, bool compares) {
  static std::mutex wide;
  using U = unsigned __int128;
  uint8_t *host[32];
  if (!locate(warp, in, access, host))
    return;
  ++warp.block->cluster->progress;
  const uint32_t *slots = warp.program->lists.data() + in.list;
  eachActive(warp, [&](int lane) {
    const std::lock_guard guard(wide);
    U &place = *reinterpret_cast<U *>(host[lane]);
    const U old = place, b = warp.reg<U>(slots[0])[lane];
    if (!compares)
      place = b;
    else if (old == b)
      place = warp.reg<U>(in.c)[lane];
    if (slots[1])
      warp.reg<U>(slots[1])[lane] = old;
  });
}

uint64_t valueOf(const Warp &warp, uint32_t slot, unsigned bytes, int lane) {
  return bytes == 2   ? warp.reg<uint16_t>(slot)[lane]
         : bytes == 4 ? warp.reg<uint32_t>(slot)[lane]
                      : warp.reg<uint64_t>(slot)[lane];
}

/// Registers: parts of b in the list, then parts of d (slot 0 for red); c of cas in in.c.
void atomicLanes(Warp &warp, const Instruction &in) {
  const auto &how = *static_cast<const Atomic *>(in.detail);
  if (how.type == Type::b128)
    return atomic128(warp, in, how.access, how.operation == AtomicOperation::compareAndSwap);
  uint8_t *host[32];
  if (!locate(warp, in, how.access, host))
    return;
  const unsigned bytes = bytesOf(how.type);
  const uint32_t *slots = warp.program->lists.data() + in.list;
  ++warp.block->cluster->progress;
  eachActive(warp, [&](int lane) {
    for (unsigned part = 0; part < how.parts; ++part) {
      const uint64_t old =
          atomicUpdate(host[lane] + part * bytes, how.operation, how.type,
                       valueOf(warp, slots[part], bytes, lane), in.c ? valueOf(warp, in.c, bytes, lane) : 0);
      const uint32_t d = slots[how.parts + part];
      if (!d)
        continue;
      if (bytes == 2)
        warp.reg<uint16_t>(d)[lane] = static_cast<uint16_t>(old);
      else if (bytes == 4)
        warp.reg<uint32_t>(d)[lane] = static_cast<uint32_t>(old);
      else
        warp.reg<uint64_t>(d)[lane] = old;
    }
  });
  if (GlobalRaceChecker *races = warp.block->cluster->launch->globalRaces.get())
    races->found(warp, how.access, host, warp.active);
}

template <bool isReduction> void atomicOrReduction(Translator &t) {
  if (isReduction && t.take("async"))
    return reduceAsync(t);
  Atomic how;
  how.access.kind = AccessKind::atomic;
  takeOrder(t, how.access);
  how.access.synchronizes = true;
  how.access.space = takeSpace(t, Space::generic);
  const int operation = t.takeOneOf({"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"});
  if (operation < 0)
    return t.fail("expected an operation such as .add");
  how.operation = static_cast<AtomicOperation>(operation);
  t.take("noftz");
  takeCacheHints(t);
  const int vector = t.takeOneOf({"v2", "v4", "v8"});
  how.parts = vector < 0 ? 1 : 2u << vector;
  how.type = t.needType();
  const bool isCas = how.operation == AtomicOperation::compareAndSwap;
  const bool known =
      isFloat(how.type)
          ? how.type != Type::tf32 && operation <= 2 && (how.type != Type::f64 || operation == 0)
          : bytesOf(how.type) == 4 || bytesOf(how.type) == 8 ||
                ((bytesOf(how.type) == 2 || how.type == Type::b128) && (isCas || operation == 6));
  if (!known || (vector >= 0 && how.type == Type::b128) || how.type == Type::pred)
    return t.fail("type .{} is not supported", nameOf(how.type));
  how.access.bytes = bytesOf(how.type) * how.parts;
  const size_t at = isReduction ? 0 : 1;
  const Translator::Address address = t.address(t.operand(at));
  if (how.access.space == Space::generic && address.space != Space::generic)
    how.access.space = address.space;
  how.access.addressBytes = address.bytes;
  if (address.kernelParameter)
    return t.fail("expected memory that can be written, found a parameter of the kernel");
  const Operand &data = t.operand(at + 1);
  std::vector<uint32_t> slots;
  for (unsigned part = 0; part < how.parts && !t.failed(); ++part) {
    if (vector >= 0 &&
        (data.parts.size() != how.parts || (!isReduction && t.operand(0).parts.size() != how.parts)))
      return t.fail("expected {} registers in braces", how.parts);
    slots.push_back(t.source(vector < 0 ? data : data.parts[part], how.type));
  }
  const uint32_t c = isCas ? t.source(at + 2, how.type) : 0;
  for (unsigned part = 0; part < how.parts && !t.failed(); ++part)
    slots.push_back(isReduction ? 0
                                : t.target(vector < 0 ? t.operand(0) : t.operand(0).parts[part], how.type));
  Instruction &in = t.emit(&atomicLanes, InstructionClass::atomic);
  in.a = address.slot;
  in.offset = address.offset;
  in.c = c;
  t.list(in, slots);
  in.detail = t.keep(how);
}

enum FenceKind : uint32_t { otherFence, proxyFence, memoryFence, initFence };

/// fence and membar: memory is in order here; to the race checker proxies and scopes matter.
void fence(Translator &t) {
  bool isMemory = true, isInit = false;
  Scope scope = Scope::gpu;
  const bool isAsync = t.take("proxy") && t.takeOneOf({"async", "async::generic"}) >= 0;
  while (!t.modifiers().empty()) {
    static constexpr std::string_view known[] = {"sc",
                                                 "acq_rel",
                                                 "acquire",
                                                 "release",
                                                 "cta",
                                                 "cluster",
                                                 "gpu",
                                                 "sys",
                                                 "gl",
                                                 "mbarrier_init",
                                                 "global",
                                                 "shared::cta",
                                                 "shared::cluster",
                                                 "alias",
                                                 "tensormap::generic",
                                                 "sync_restrict::shared::cta",
                                                 "sync_restrict::shared::cluster",
                                                 "proxy::async",
                                                 "proxy::tensormap",
                                                 "volatile"};
    const std::string_view next = t.modifiers().front();
    if (std::find(std::begin(known), std::end(known), next) == std::end(known))
      return t.fail("unknown modifier .{}", next);
    isMemory &= !next.starts_with("proxy") && !next.starts_with("tensormap") && next != "mbarrier_init";
    isInit |= next == "mbarrier_init";
    scope = next == "cta" ? Scope::cta : next == "cluster" ? Scope::cluster : scope;
    t.take(next);
  }
  Instruction &in = t.emit(
      +[](Warp &warp, const Instruction &in) {
        RaceChecker *races = warp.block->cluster->races.get();
        if (races && in.extra == proxyFence)
          races->proxyFence(warp);
        if (races && in.extra == memoryFence)
          races->memoryFence(warp, static_cast<Scope>(in.offset));
        if (races && in.extra == initFence)
          races->initFence(warp);
      },
      InstructionClass::barrier);
  in.extra = isAsync ? proxyFence : isInit ? initFence : isMemory ? memoryFence : otherFence;
  in.offset = static_cast<int64_t>(scope);
}

} // namespace

std::optional<AtomicOperation> takeReduction(Translator &t) {
  const int operation = t.takeOneOf({"add", "min", "max", "and", "or", "xor"});
  if (operation >= 0)
    return static_cast<AtomicOperation>(operation);
  const int counting = t.takeOneOf({"inc", "dec"});
  if (counting >= 0)
    return counting == 0 ? AtomicOperation::increment : AtomicOperation::decrement;
  t.fail("expected a reduction such as .add");
  return std::nullopt;
}

std::span<const Opcode> atomicOpcodes() {
  static constexpr Opcode table[] = {{"atom", atomicOrReduction<false>},
                                     {"red", atomicOrReduction<true>},
                                     {"membar", fence},
                                     {"fence", fence}};
  return table;
}

} // namespace sinter::emulator
