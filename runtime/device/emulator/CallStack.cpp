// SPDX-License-Identifier: Apache-2.0
// Activations of functions, lane by lane.
#include "runtime/device/emulator/CallStack.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Program.h"

#include <algorithm>
#include <cstring>

namespace sinter::emulator {

namespace {

uint64_t roundedUp(uint64_t value, uint64_t unit = Callee::argumentAlign) {
  return (value + unit - 1) / unit * unit;
}

uint8_t *localOf(Warp &warp, int lane, uint64_t address) {
  return warp.local.data() + static_cast<size_t>(lane) * warp.program->localBytes + address;
}

/// Lanes of a group go to several places; `target` says where.
template <typename F> void jumpEach(Warp &warp, F target) {
  const Mask all = warp.active;
  for (Mask rest = all; rest;) {
    const uint32_t to = target(__builtin_ctz(rest));
    Mask same = 0;
    for (Mask each = rest; each; each &= each - 1)
      if (const int lane = __builtin_ctz(each); target(lane) == to)
        same |= 1u << lane;
    if (same == warp.mask && same == all) { // nobody is left
      warp.pc = to;
      return;
    }
    rest &= ~same;
    warp.groups.push_back({to, same, {}, 0});
    warp.mask &= ~same;
  }
  warp.leave();
}

template <bool saves>
void moveRegisters(Warp &warp, const Callee &callee, int lane, std::vector<uint8_t> &saved) {
  if (saves) {
    size_t bytes = 0;
    for (const Callee::Register &each : callee.registers)
      bytes += std::max(each.bytes, 1u);
    saved.resize(bytes);
  }
  uint8_t *place = saved.data();
  for (const auto &[slot, bytes] : callee.registers) {
    if (!bytes) {
      Mask &predicate = *warp.reg<Mask>(slot);
      if (saves)
        *place++ = predicate >> lane & 1;
      else
        predicate = (predicate & ~(1u << lane)) | static_cast<Mask>(*place++) << lane;
      continue;
    }
    uint8_t *value = warp.frame + slot + bytes * static_cast<unsigned>(lane);
    if (saves)
      std::memcpy(place, value, bytes);
    else
      std::memcpy(value, place, bytes);
    place += bytes;
  }
}

/// Which function a lane calls; -1 after a fault.
int32_t calleeOf(Warp &warp, const Instruction &in, const CallSite &site, int lane) {
  const Program &program = *warp.program;
  if (site.callee >= 0)
    return site.callee;
  const uint64_t address = warp.reg<uint64_t>(in.a)[lane];
  const auto found = program.calleeAt.find(address);
  if (found == program.calleeAt.end()) {
    warp.fault(in, "{} calls {:#x}: expected the address of a function with a body", warp.describe(lane),
               address);
    return -1;
  }
  const Callee &callee = program.callees[static_cast<size_t>(found->second)];
  const auto sizes = [](const std::vector<CallSite::Value> &values) {
    std::vector<uint64_t> result;
    for (const CallSite::Value &each : values)
      result.push_back(each.bytes);
    return result;
  };
  if (sizes(site.results) != callee.results || sizes(site.parameters) != callee.parameters) {
    warp.fault(in, "{} calls '{}' with parameters of {} bytes and results of {}: expected {} and {}",
               warp.describe(lane), callee.name, fmt::join(sizes(site.parameters), ", "),
               fmt::join(sizes(site.results), ", "), fmt::join(callee.parameters, ", "),
               fmt::join(callee.results, ", "));
    return -1;
  }
  if (site.isListed &&
      std::find(site.targets.begin(), site.targets.end(), found->second) == site.targets.end()) {
    warp.fault(in, "{} calls '{}', which .calltargets does not list", warp.describe(lane), callee.name);
    return -1;
  }
  return found->second;
}

void callLanes(Warp &warp, const Instruction &in) {
  const auto &site = *static_cast<const CallSite *>(in.detail);
  const Program &program = *warp.program;
  CallStack &stack = *warp.calls;
  uint64_t *frames = warp.reg<uint64_t>(program.stackPointer);
  std::array<uint32_t, lanesOfWarp> starts{};
  for (Mask rest = warp.active; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    const int32_t index = calleeOf(warp, in, site, lane);
    if (index < 0)
      return;
    const Callee &callee = program.callees[static_cast<size_t>(index)];
    const uint64_t callers =
        site.caller < 0 ? program.stackBegin : program.callees[static_cast<size_t>(site.caller)].frameBytes;
    const uint64_t before = frames[lane], frame = before + roundedUp(callers, frameAlign);
    std::vector<Activation> &activations = stack.lanes[static_cast<size_t>(lane)];
    if (frame + callee.frameBytes > program.localBytes || activations.size() >= mostActivations)
      return warp.fault(
          in, "{} calls '{}' at a depth of {}: expected calls that take at most {} bytes and a depth of {}",
          warp.describe(lane), callee.name, activations.size() + 1, stackBytes, mostActivations);
    activations.push_back({warp.pc, index, &site, before, {}});
    if (stack.depth[static_cast<size_t>(index)][static_cast<size_t>(lane)]++)
      moveRegisters<true>(warp, callee, lane, activations.back().saved);
    uint64_t at = 0;
    for (const CallSite::Value &each : site.results)
      at = roundedUp(at + each.bytes);
    for (const CallSite::Value &each : site.parameters) {
      std::memcpy(localOf(warp, lane, frame + at), localOf(warp, lane, before + each.at), each.bytes);
      at = roundedUp(at + each.bytes);
    }
    frames[lane] = frame;
    starts[static_cast<size_t>(lane)] = callee.start;
  }
  jumpEach(warp, [&](int lane) { return starts[static_cast<size_t>(lane)]; });
}

void returnLanes(Warp &warp, const Instruction &) {
  const Program &program = *warp.program;
  CallStack &stack = *warp.calls;
  uint64_t *frames = warp.reg<uint64_t>(program.stackPointer);
  std::array<uint32_t, lanesOfWarp> targets{};
  for (Mask rest = warp.active; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    std::vector<Activation> &activations = stack.lanes[static_cast<size_t>(lane)];
    Activation &last = activations.back();
    uint64_t at = 0;
    for (const CallSite::Value &each : last.site->results) {
      std::memcpy(localOf(warp, lane, last.frame + each.at), localOf(warp, lane, frames[lane] + at),
                  each.bytes);
      at = roundedUp(at + each.bytes);
    }
    if (--stack.depth[static_cast<size_t>(last.callee)][static_cast<size_t>(lane)])
      moveRegisters<false>(warp, program.callees[static_cast<size_t>(last.callee)], lane, last.saved);
    frames[lane] = last.frame;
    targets[static_cast<size_t>(lane)] = last.returnTo;
    activations.pop_back();
  }
  jumpEach(warp, [&](int lane) { return targets[static_cast<size_t>(lane)]; });
}

template <typename T, bool masked> void frameAddressLanes(Warp &warp, const Instruction &in) {
  const uint64_t *frames = warp.reg<uint64_t>(warp.program->stackPointer);
  writeLanes<masked, T>(
      warp, in.d, [=](int lane) { return static_cast<T>(frames[lane] + static_cast<uint64_t>(in.offset)); });
}

} // namespace

Handlers stackCallHandler() { return {&callLanes, &callLanes}; }
Handlers stackReturnHandler() { return {&returnLanes, &returnLanes}; }
Handlers frameAddressHandler(unsigned bytes) {
  return bytes == 8 ? Handlers{&frameAddressLanes<uint64_t, false>, &frameAddressLanes<uint64_t, true>}
                    : Handlers{&frameAddressLanes<uint32_t, false>, &frameAddressLanes<uint32_t, true>};
}

} // namespace sinter::emulator
