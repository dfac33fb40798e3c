// SPDX-License-Identifier: Apache-2.0
// Accumulators of wgmma between issue and wait_group.
#include "runtime/device/emulator/InFlight.h"
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Moves.h"
#include "runtime/device/emulator/Program.h"
#include "runtime/device/emulator/Races.h"
#include "runtime/device/emulator/Wgmma.h"

#include <algorithm>
#include <cstring>

namespace sinter::emulator {

namespace {

InFlight &stateOf(Warp &warp) {
  if (!warp.inFlight)
    warp.inFlight = std::make_shared<InFlight>();
  return *warp.inFlight;
}

void finish(Warp &warp, InFlight &state, const std::shared_ptr<PendingMma> &mma) {
  if (mma->compute) {
    for (size_t i = 0; i < mma->starts.size(); ++i)
      if (const auto &start = mma->starts[i]; start.from)
        mma->values[i] = start.from->values[start.index];
    mma->compute(mma->values);
  }
  for (auto at = state.registers.begin(); at != state.registers.end();) {
    if (at->second.mma != mma) {
      ++at;
      continue;
    }
    std::memcpy(warp.reg<uint32_t>(at->first), mma->values[at->second.index].data(), 128);
    at = state.registers.erase(at);
  }
  mma->starts.clear();
}

void hazard(Warp &warp, const Instruction &in, const char *what, const PendingMma &mma) {
  warp.block->cluster->launch->hazards.addOnce(
      static_cast<uint64_t>(in.line) << 32 | mma.line,
      fmt::format("line {}: {} {} an accumulator of the wgmma in line {} before wgmma.wait_group", in.line,
                  warp.describe(), what, mma.line));
}

} // namespace

void startMma(Warp &warp, const Instruction &in, const uint32_t *slots, uint32_t count,
              std::function<void(PendingMma::Values &)> compute) {
  InFlight &state = stateOf(warp);
  auto mma = std::make_shared<PendingMma>();
  mma->group = state.committed;
  mma->line = in.line;
  mma->values.resize(count);
  mma->starts.resize(count);
  const bool latest = warp.block->cluster->launch->options.schedule == Schedule::latest;
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t *reg = warp.reg<uint32_t>(slots[i]);
    const auto found = state.registers.find(slots[i]);
    if (latest && found != state.registers.end())
      mma->starts[i] = {found->second.mma, found->second.index};
    std::memcpy(mma->values[i].data(), reg, 128);
  }
  if (latest) {
    mma->compute = std::move(compute);
    for (uint32_t i = 0; i < count; ++i)
      std::memset(warp.reg<uint32_t>(slots[i]), 0xff, 128); // NaN
  } else {
    compute(mma->values);
    for (uint32_t i = 0; i < count; ++i)
      std::memcpy(warp.reg<uint32_t>(slots[i]), mma->values[i].data(), 128);
  }
  for (uint32_t i = 0; i < count; ++i)
    state.registers[slots[i]] = {mma, i};
  if (RaceChecker *races = warp.block->cluster->races.get())
    mma->time = races->tick(races->agentOf(warp, RaceChecker::Agent::wgmma));
  state.pending.push_back(std::move(mma));
  warp.inFlightAccumulators = static_cast<uint32_t>(state.registers.size());
}

void commitMma(Warp &warp) { ++stateOf(warp).committed; }

void waitMma(Warp &warp, uint32_t pending) {
  InFlight &state = stateOf(warp);
  auto next = state.pending.begin();
  for (; next != state.pending.end() && (*next)->group + pending < state.committed; ++next) {
    finish(warp, state, *next);
    if (RaceChecker *races = warp.block->cluster->races.get())
      races->completed(warp, races->agentOf(warp, RaceChecker::Agent::wgmma), (*next)->time);
  }
  state.pending.erase(state.pending.begin(), next);
  warp.inFlightAccumulators = static_cast<uint32_t>(state.registers.size());
}

bool checkInFlight(Warp &warp, const Instruction &in) {
  InFlight &state = *warp.inFlight;
  if (isWgmma(in) || in.kind == InstructionClass::control)
    return true;
  const auto find = [&](uint32_t slot) { return slot ? state.registers.find(slot) : state.registers.end(); };
  if (in.full == copyOf(4).full) {
    const auto source = find(in.a), target = find(in.d);
    if (source != state.registers.end()) {
      state.registers[in.d] = InFlight::Place(source->second); // a rename
    } else if (target != state.registers.end()) {
      hazard(warp, in, "overwrites", *target->second.mma);
      state.registers.erase(target);
    }
    warp.inFlightAccumulators = static_cast<uint32_t>(state.registers.size());
    return true;
  }
  for (const uint32_t slot : {in.a, in.b, in.c})
    if (const auto found = find(slot); found != state.registers.end())
      hazard(warp, in, "reads", *found->second.mma);
  const auto writes = [&](uint32_t slot) {
    const auto found = find(slot);
    if (found == state.registers.end())
      return;
    hazard(warp, in,
           in.kind == InstructionClass::globalStore || in.kind == InstructionClass::sharedStore ? "reads"
                                                                                                : "uses",
           *found->second.mma);
  };
  writes(in.d);
  for (uint32_t i = 0; i < in.count; ++i)
    writes(warp.program->lists[in.list + i]);
  return true;
}

} // namespace sinter::emulator
