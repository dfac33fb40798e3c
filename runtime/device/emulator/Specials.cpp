// SPDX-License-Identifier: Apache-2.0
// Special registers (PTX ISA chapter 10).
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Lanes.h"

#include <chrono>
#include <unordered_map>

namespace sinter::emulator {

namespace {

const std::unordered_map<std::string_view, Special> names = {
    {"%tid.x", Special::tidX},
    {"%tid.y", Special::tidY},
    {"%tid.z", Special::tidZ},
    {"%ntid.x", Special::ntidX},
    {"%ntid.y", Special::ntidY},
    {"%ntid.z", Special::ntidZ},
    {"%ctaid.x", Special::ctaidX},
    {"%ctaid.y", Special::ctaidY},
    {"%ctaid.z", Special::ctaidZ},
    {"%nctaid.x", Special::nctaidX},
    {"%nctaid.y", Special::nctaidY},
    {"%nctaid.z", Special::nctaidZ},
    {"%laneid", Special::laneid},
    {"%warpid", Special::warpid},
    {"%nwarpid", Special::nwarpid},
    {"%smid", Special::smid},
    {"%nsmid", Special::nsmid},
    {"%gridid", Special::gridid},
    {"%lanemask_eq", Special::lanemaskEq},
    {"%lanemask_le", Special::lanemaskLe},
    {"%lanemask_lt", Special::lanemaskLt},
    {"%lanemask_ge", Special::lanemaskGe},
    {"%lanemask_gt", Special::lanemaskGt},
    {"%clusterid.x", Special::clusterIdX},
    {"%clusterid.y", Special::clusterIdY},
    {"%clusterid.z", Special::clusterIdZ},
    {"%nclusterid.x", Special::nclusterIdX},
    {"%nclusterid.y", Special::nclusterIdY},
    {"%nclusterid.z", Special::nclusterIdZ},
    {"%cluster_ctaid.x", Special::clusterCtaidX},
    {"%cluster_ctaid.y", Special::clusterCtaidY},
    {"%cluster_ctaid.z", Special::clusterCtaidZ},
    {"%cluster_nctaid.x", Special::clusterNctaidX},
    {"%cluster_nctaid.y", Special::clusterNctaidY},
    {"%cluster_nctaid.z", Special::clusterNctaidZ},
    {"%cluster_ctarank", Special::clusterCtarank},
    {"%cluster_nctarank", Special::clusterNctarank},
    {"%is_explicit_cluster", Special::isExplicitCluster},
    {"%total_smem_size", Special::totalSmemSize},
    {"%dynamic_smem_size", Special::dynamicSmemSize},
};

/// %clock and %clock64 count the warp instructions of the cluster; %globaltimer is the host's clock in
/// nanoseconds.
void clockLanes(Warp &warp, const Instruction &in) {
  const uint32_t now = ++warp.block->cluster->clock;
  writeLanes<true, uint32_t>(warp, in.d, [=](int) { return now; });
}
void clock64Lanes(Warp &warp, const Instruction &in) {
  const uint64_t now = ++warp.block->cluster->clock;
  writeLanes<true, uint64_t>(warp, in.d, [=](int) { return now; });
}
uint64_t nanoseconds() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}
void timerLanes(Warp &warp, const Instruction &in) {
  const uint64_t now = nanoseconds();
  writeLanes<true, uint64_t>(warp, in.d, [=](int) { return now; });
}

uint32_t valueOf(Special which, const Launch &launch, const Block &block, const Warp &warp, uint32_t lane) {
  const uint32_t thread = warp.index * lanesOfWarp + lane;
  const auto &size = launch.block;
  const auto &cluster = launch.cluster;
  switch (which) {
  case Special::tidX:
    return thread % size[0];
  case Special::tidY:
    return thread / size[0] % size[1];
  case Special::tidZ:
    return thread / size[0] / size[1];
  case Special::ntidX:
    return size[0];
  case Special::ntidY:
    return size[1];
  case Special::ntidZ:
    return size[2];
  case Special::ctaidX:
    return block.id[0];
  case Special::ctaidY:
    return block.id[1];
  case Special::ctaidZ:
    return block.id[2];
  case Special::nctaidX:
    return launch.grid[0];
  case Special::nctaidY:
    return launch.grid[1];
  case Special::nctaidZ:
    return launch.grid[2];
  case Special::laneid:
    return lane;
  case Special::warpid:
    return warp.index;
  case Special::nwarpid:
    return launch.warpsOfBlock();
  case Special::smid:
    return 0;
  case Special::nsmid:
    return 132;
  case Special::gridid:
    return 1;
  case Special::lanemaskEq:
    return 1u << lane;
  case Special::lanemaskLe:
    return (2ull << lane) - 1;
  case Special::lanemaskLt:
    return (1u << lane) - 1;
  case Special::lanemaskGe:
    return ~((1u << lane) - 1);
  case Special::lanemaskGt:
    return static_cast<uint32_t>(~((2ull << lane) - 1));
  case Special::clusterIdX:
    return block.id[0] / cluster[0];
  case Special::clusterIdY:
    return block.id[1] / cluster[1];
  case Special::clusterIdZ:
    return block.id[2] / cluster[2];
  case Special::nclusterIdX:
    return launch.grid[0] / cluster[0];
  case Special::nclusterIdY:
    return launch.grid[1] / cluster[1];
  case Special::nclusterIdZ:
    return launch.grid[2] / cluster[2];
  case Special::clusterCtaidX:
    return block.id[0] % cluster[0];
  case Special::clusterCtaidY:
    return block.id[1] % cluster[1];
  case Special::clusterCtaidZ:
    return block.id[2] % cluster[2];
  case Special::clusterNctaidX:
    return cluster[0];
  case Special::clusterNctaidY:
    return cluster[1];
  case Special::clusterNctaidZ:
    return cluster[2];
  case Special::clusterCtarank:
    return block.rank;
  case Special::clusterNctarank:
    return launch.blocksOfCluster();
  case Special::isExplicitCluster:
    return launch.blocksOfCluster() > 1;
  case Special::totalSmemSize:
    return static_cast<uint32_t>(launch.program->staticShared + launch.dynamicShared);
  case Special::dynamicSmemSize:
    return static_cast<uint32_t>(launch.dynamicShared);
  }
  return 0;
}

} // namespace

SpecialSource specialRegister(Translator &t, std::string_view name) {
  if (const auto found = names.find(name); found != names.end())
    return {t.special(found->second), 4};
  const auto dynamic = [&](Handler handler, unsigned bytes) -> SpecialSource {
    const uint32_t slot = t.temporary(bytes);
    t.emit(handler, InstructionClass::move).d = slot;
    return {slot, bytes};
  };
  if (name == "%clock" || name == "%clock_hi")
    return dynamic(&clockLanes, 4);
  if (name == "%clock64")
    return dynamic(&clock64Lanes, 8);
  if (name == "%globaltimer")
    return dynamic(&timerLanes, 8);
  if (name == "%globaltimer_lo")
    return dynamic(
        +[](Warp &warp, const Instruction &in) {
          const auto now = static_cast<uint32_t>(nanoseconds());
          writeLanes<true, uint32_t>(warp, in.d, [=](int) { return now; });
        },
        4);
  return {};
}

void fillSpecials(const Launch &launch, const Block &block, Warp &warp) {
  for (const Program::SpecialSlot &special : launch.program->specials)
    for (uint32_t lane = 0; lane < lanesOfWarp; ++lane)
      warp.reg<uint32_t>(special.slot)[lane] = valueOf(special.which, launch, block, warp, lane);
}

} // namespace sinter::emulator
