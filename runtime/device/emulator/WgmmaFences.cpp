// SPDX-License-Identifier: Apache-2.0
// Registers of wgmma between a write and a fence.
#include "runtime/device/emulator/WgmmaFences.h"
#include "runtime/device/emulator/Program.h"
#include "runtime/device/emulator/Wgmma.h"

#include <unordered_set>

namespace sinter::emulator {

std::shared_ptr<FragmentWrites> fragmentWritesOf(const Program &program, std::vector<RegisterWrite> writes) {
  std::unordered_set<uint32_t> followed;
  std::vector<uint32_t> open; // followed, their sources not yet
  const auto follow = [&](uint32_t slot) {
    if (slot && followed.insert(slot).second)
      open.push_back(slot);
  };
  for (const Instruction &in : program.code)
    if (isWgmmaProduct(in))
      for (uint32_t i = 0; i < in.count; ++i)
        follow(program.lists[in.list + i]);
  if (followed.empty())
    return nullptr;
  std::unordered_multimap<uint32_t, const RegisterWrite *> copies;
  for (const RegisterWrite &each : writes)
    for (const uint32_t target : each.targets)
      if (each.copies)
        copies.emplace(target, &each);
  while (!open.empty()) {
    const uint32_t slot = open.back();
    open.pop_back();
    for (auto [at, end] = copies.equal_range(slot); at != end; ++at)
      for (const uint32_t source : at->second->sources)
        follow(source);
  }
  auto result = std::make_shared<FragmentWrites>();
  result->at.resize(program.code.size());
  for (RegisterWrite &each : writes) {
    std::erase_if(each.targets, [&](uint32_t slot) { return !followed.contains(slot); });
    if (each.targets.empty() || isWgmma(program.code[each.instruction]))
      continue;
    result->writes.push_back(std::move(each));
    result->at[result->writes.back().instruction] = static_cast<uint32_t>(result->writes.size());
  }
  return result;
}

void noteFragmentWrites(Warp &warp, const Instruction &in) {
  const FragmentWrites &all = *warp.program->fragmentWrites;
  const uint32_t index = all.at[static_cast<size_t>(&in - warp.program->code.data())];
  if (!index)
    return;
  const RegisterWrite &write = all.writes[index - 1];
  auto &writes = warp.fragments->writes;
  if (!write.copies) {
    for (const uint32_t target : write.targets)
      writes[target] = {in.line, 0};
    return;
  }
  const FragmentState::Write *from = nullptr;
  for (const uint32_t source : write.sources)
    if (const auto found = writes.find(source); found != writes.end())
      from = &found->second;
  if (!from && warp.active != allLanes)
    return; // other lanes hold what they held
  const auto value = from ? std::optional(*from) : std::nullopt;
  for (const uint32_t target : write.targets) {
    if (value)
      writes[target] = *value;
    else
      writes.erase(target);
  }
}

void fenceFragments(Warp &warp) {
  warp.fragments->fenced = true;
  warp.fragments->writes.clear();
}

void checkFragmentFence(Warp &warp, const Instruction &in, uint32_t accumulators, uint32_t shape) {
  FragmentState &state = *warp.fragments;
  const auto hazard = [&](uint32_t line, std::string text) {
    warp.block->cluster->launch->hazards.addOnce(
        uint64_t(1) << 62 | static_cast<uint64_t>(in.line) << 32 | line,
        fmt::format("line {}: {} {}", in.line, warp.describe(), text));
  };
  if (!state.fenced) {
    hazard(0, "executes its first wgmma before any wgmma.fence");
    fenceFragments(warp); // once is enough
  }
  const uint32_t *slots = warp.program->lists.data() + in.list;
  for (uint32_t i = 0; i < in.count; ++i) {
    const bool isSum = i < accumulators;
    const auto found = state.writes.find(slots[i]);
    if (found == state.writes.end() || (isSum && found->second.shape == shape))
      continue;
    hazard(found->second.line,
           fmt::format("without wgmma.fence takes {} that {} in line {} wrote",
                       isSum ? "an accumulator" : "a fragment of A",
                       found->second.shape ? "the wgmma of another shape or operand" : "an instruction",
                       found->second.line));
  }
  for (uint32_t i = 0; i < accumulators; ++i)
    state.writes[slots[i]] = {in.line, shape};
}

} // namespace sinter::emulator
