// SPDX-License-Identifier: Apache-2.0
// Exchange between the lanes of a warp (PTX ISA 9.7.9.6, 9.7.13.7 to 9.7.13.14): shfl, vote, match, redux,
// activemask, elect. Lanes that the member mask names and that are elsewhere are waited for.
#include "runtime/device/emulator/Warps.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <algorithm>
#include <cmath>

namespace sinter::emulator {

bool converged(Warp &warp, const Instruction &in, Mask needed) {
  needed &= warp.live;
  if ((warp.active & needed) == needed)
    return true;
  Wait wait;
  wait.kind = Wait::lanes;
  wait.needed = needed;
  warp.suspend(wait, true);
  return false;
}

/// Lanes with another mask (parts of a warp, each with its own) execute the instruction after those that do
/// now.
bool members(Warp &warp, const Instruction &in, uint32_t slot, Mask &mask) {
  const uint32_t *masks = warp.reg<uint32_t>(slot);
  for (Mask rest = warp.active; rest;) {
    mask = masks[__builtin_ctz(rest)];
    const Mask found = mask, same = rest & maskOf([=](int lane) { return masks[lane] == found; });
    if (const Mask outside = same & ~found) {
      warp.fault(in, "{}: expected lane {} in its own member mask, found {:#x}", warp.describe(),
                 __builtin_ctz(outside), found);
      return false;
    }
    if ((same & warp.live) != (found & warp.live)) {
      rest &= ~same;
      continue;
    }
    if (const Mask others = warp.active & ~same) {
      warp.groups.push_back({warp.pc - 1, others, {}, 0});
      warp.mask &= ~others;
      warp.active = same;
      warp.leave();
    }
    return true;
  }
  Wait wait;
  wait.kind = Wait::lanes;
  wait.needed = mask & warp.live;
  warp.suspend(wait, true);
  return false;
}

namespace {

/// shfl.sync.mode.b32 d|p, a, b, c, membermask: c holds the segment mask and the clamp value.
template <int mode> void shuffleLanes(Warp &warp, const Instruction &in) {
  Mask mask = 0;
  if (!members(warp, in, in.extra, mask))
    return;
  uint32_t result[32];
  const uint32_t *a = warp.reg<uint32_t>(in.a), *b = warp.reg<uint32_t>(in.b), *c = warp.reg<uint32_t>(in.c);
  Mask inRange = 0;
  for (uint32_t lane = 0; lane < lanesOfWarp; ++lane) {
    const uint32_t segment = c[lane] >> 8 & 0x1f, clamp = c[lane] & 0x1f, by = b[lane] & 0x1f;
    const uint32_t highest = (lane & segment) | (clamp & ~segment), lowest = lane & segment;
    uint32_t from = 0;
    bool good = false;
    switch (mode) {
    case 0:
      from = lane - by;
      good = static_cast<int32_t>(from) >= static_cast<int32_t>(highest);
      break; // up
    case 1:
      from = lane + by;
      good = from <= highest;
      break; // down
    case 2:
      from = lane ^ by;
      good = from <= highest;
      break; // bfly
    case 3:
      from = lowest | (by & ~segment);
      good = from <= highest;
      break; // idx
    }
    if (!good)
      from = lane;
    inRange |= static_cast<Mask>(good) << lane;
    // What comes from a lane that takes no part is undefined (PTX ISA 9.7.9.6): all ones here, a NaN.
    result[lane] = warp.active >> (from & 31) & 1 ? a[from & 31] : ~0u;
  }
  writeLanes<true, uint32_t>(warp, in.d, [&](int lane) { return result[lane]; });
  if (in.offset)
    writePredicate(warp, static_cast<uint32_t>(in.offset), inRange);
}

void shfl(Translator &t) {
  if (!t.take("sync"))
    return t.fail("expected .sync");
  const int mode = t.takeOneOf({"up", "down", "bfly", "idx"});
  t.needType();
  const uint32_t a = t.source(1, Type::b32), b = t.source(2, Type::b32), c = t.source(3, Type::b32),
                 m = t.source(4, Type::b32);
  const uint32_t d = t.target(0, Type::b32), p = t.pairTarget(t.operand(0));
  static constexpr Handler handlers[] = {&shuffleLanes<0>, &shuffleLanes<1>, &shuffleLanes<2>,
                                         &shuffleLanes<3>};
  if (mode < 0)
    return t.fail("expected .up, .down, .bfly or .idx");
  Instruction &in = t.emit(handlers[mode], InstructionClass::warp);
  in.a = a, in.b = b, in.c = c, in.d = d;
  in.extra = m;
  in.offset = p;
}

/// vote.sync.mode: 0 all, 1 any, 2 uni, 3 ballot.
template <int mode> void voteLanes(Warp &warp, const Instruction &in) {
  Mask mask = 0;
  if (!members(warp, in, in.b, mask))
    return;
  mask &= warp.active;
  const Mask yes = warp.predicate(in.a) & mask;
  if (mode == 3)
    return writeLanes<true, uint32_t>(warp, in.d, [=](int) { return yes; });
  const bool result = mode == 0 ? yes == mask : mode == 1 ? yes != 0 : yes == mask || yes == 0;
  writePredicate(warp, in.d, result ? allLanes : 0);
}

void vote(Translator &t) {
  if (!t.take("sync"))
    return t.fail("expected .sync");
  const int mode = t.takeOneOf({"all", "any", "uni", "ballot"});
  t.needType();
  static constexpr Handler handlers[] = {&voteLanes<0>, &voteLanes<1>, &voteLanes<2>, &voteLanes<3>};
  if (mode < 0)
    return t.fail("expected .all, .any, .uni or .ballot");
  const uint32_t a = t.predicate(t.operand(1)), m = t.source(2, Type::b32);
  const uint32_t d = mode == 3 ? t.target(0, Type::b32) : t.predicateTarget(t.operand(0));
  Instruction &in = t.emit(handlers[mode], InstructionClass::warp);
  in.a = a, in.b = m, in.d = d;
}

/// match.any: the members with an equal value; match.all: all members if all are equal, else 0.
template <typename T, bool all> void matchLanes(Warp &warp, const Instruction &in) {
  Mask mask = 0;
  if (!members(warp, in, in.b, mask))
    return;
  mask &= warp.active;
  const T *a = warp.reg<T>(in.a);
  Mask result[32];
  for (int lane = 0; lane < lanesOfWarp; ++lane)
    result[lane] = maskOf([&](int other) { return a[other] == a[lane]; }) & mask;
  const bool equal = result[__builtin_ctz(warp.active)] == mask;
  writeLanes<true, uint32_t>(warp, in.d, [&](int lane) { return all ? (equal ? mask : 0) : result[lane]; });
  if (in.offset)
    writePredicate(warp, static_cast<uint32_t>(in.offset), equal ? allLanes : 0);
}

void match(Translator &t) {
  t.take("sync");
  const bool all = t.takeOneOf({"any", "all"}) == 1;
  const Type type = t.needType();
  const uint32_t a = t.source(1, type), m = t.source(2, Type::b32), d = t.target(0, Type::b32),
                 p = t.pairTarget(t.operand(0));
  const Handler handler = bytesOf(type) == 8
                              ? (all ? &matchLanes<uint64_t, true> : &matchLanes<uint64_t, false>)
                              : (all ? &matchLanes<uint32_t, true> : &matchLanes<uint32_t, false>);
  Instruction &in = t.emit(handler, InstructionClass::warp);
  in.a = a, in.b = m, in.d = d;
  in.offset = p;
}

/// redux.sync: a reduction over the members.
template <typename T, typename F> Handler reduction(F) {
  return +[](Warp &warp, const Instruction &in) {
    Mask mask = 0;
    if (!members(warp, in, in.b, mask))
      return;
    const T *a = warp.reg<T>(in.a);
    T result = a[__builtin_ctz(warp.active)];
    for (Mask rest = warp.active & (warp.active - 1); rest; rest &= rest - 1)
      result = F{}(result, a[__builtin_ctz(rest)]);
    writeLanes<true, T>(warp, in.d, [=](int) { return result; });
  };
}

void redux(Translator &t) {
  t.take("sync");
  const int operation = t.takeOneOf({"add", "min", "max", "and", "or", "xor"});
  const bool magnitude = t.take("abs"), nan = t.take("NaN");
  const Type type = t.needType();
  Handler handler = nullptr;
  const bool isSignedType = type == Type::s32;
  switch (operation) {
  case 0:
    handler = reduction<uint32_t>([](uint32_t a, uint32_t b) { return a + b; });
    break;
  case 1:
    handler = isSignedType ? reduction<int32_t>([](int32_t a, int32_t b) { return std::min(a, b); })
                           : reduction<uint32_t>([](uint32_t a, uint32_t b) { return std::min(a, b); });
    break;
  case 2:
    handler = isSignedType ? reduction<int32_t>([](int32_t a, int32_t b) { return std::max(a, b); })
                           : reduction<uint32_t>([](uint32_t a, uint32_t b) { return std::max(a, b); });
    break;
  case 3:
    handler = reduction<uint32_t>([](uint32_t a, uint32_t b) { return a & b; });
    break;
  case 4:
    handler = reduction<uint32_t>([](uint32_t a, uint32_t b) { return a | b; });
    break;
  case 5:
    handler = reduction<uint32_t>([](uint32_t a, uint32_t b) { return a ^ b; });
    break;
  default:
    break;
  }
  if (!handler || magnitude || nan || isFloat(type))
    return t.fail("this reduction is not supported");
  const uint32_t a = t.source(1, type), m = t.source(2, Type::b32), d = t.target(0, type);
  Instruction &in = t.emit(handler, InstructionClass::warp);
  in.a = a, in.b = m, in.d = d;
}

void activemask(Translator &t) {
  t.needType();
  const uint32_t d = t.target(0, Type::b32);
  t.emit(
       +[](Warp &warp, const Instruction &in) {
         const Mask mask = warp.active;
         writeLanes<true, uint32_t>(warp, in.d, [=](int) { return mask; });
       },
       InstructionClass::warp)
      .d = d;
}

/// elect.sync d|p, membermask: p holds in one lane, here the lowest; d is its number.
void elect(Translator &t) {
  t.take("sync");
  const uint32_t m = t.source(1, Type::b32), d = t.target(0, Type::b32), p = t.pairTarget(t.operand(0));
  Instruction &in = t.emit(
      +[](Warp &warp, const Instruction &in) {
        Mask mask = 0;
        if (!members(warp, in, in.b, mask))
          return;
        const auto leader =
            static_cast<uint32_t>(__builtin_ctz(warp.active & mask ? warp.active & mask : warp.active));
        writeLanes<true, uint32_t>(warp, in.d, [=](int) { return leader; });
        writePredicate(warp, static_cast<uint32_t>(in.offset), 1u << leader);
      },
      InstructionClass::warp);
  in.b = m, in.d = d;
  in.offset = p;
}

} // namespace

std::span<const Opcode> warpOpcodes() {
  static constexpr Opcode table[] = {
      {"shfl", shfl},  {"vote", vote}, {"match", match}, {"redux", redux}, {"activemask", activemask},
      {"elect", elect}};
  return table;
}

} // namespace sinter::emulator
