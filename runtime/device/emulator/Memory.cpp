// SPDX-License-Identifier: Apache-2.0
// Allocations, and the checks of every access.
#include "runtime/device/emulator/Memory.h"
#include "runtime/device/emulator/GlobalRaces.h"
#include "runtime/device/emulator/HostMemory.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Program.h"
#include "runtime/device/emulator/Races.h"

#include <cstdlib>
#include <cstring>
#include <mutex>

namespace sinter::emulator {

namespace {
constexpr uint64_t granule = 512, gap = 512;
constexpr size_t rememberedFrees = 64;
} // namespace

GlobalMemory::~GlobalMemory() {
  for (const auto &[begin, region] : regions)
    if (region.owned)
      std::free(reinterpret_cast<void *>(begin));
}

uint64_t GlobalMemory::allocate(uint64_t bytes, std::string name) {
  if (bytes > physicalMemory()) // touching it would end the process
    return 0;
  const uint64_t rounded = (bytes + gap + granule - 1) / granule * granule;
  void *memory = std::aligned_alloc(granule, rounded);
  if (!memory)
    return 0;
  std::memset(memory, 0, rounded);
  const auto begin = reinterpret_cast<uint64_t>(memory);
  const std::unique_lock guard(lock);
  freed.erase(begin);
  regions[begin] = {begin + bytes, std::move(name), true};
  allocated += bytes;
  return begin;
}

bool GlobalMemory::free(uint64_t address, std::string_view name) {
  const std::unique_lock guard(lock);
  const auto found = regions.find(address);
  if (found == regions.end() || !found->second.owned || (!name.empty() && found->second.name != name))
    return false;
  allocated -= found->second.end - address;
  std::free(reinterpret_cast<void *>(address));
  if (freed.size() >= rememberedFrees)
    freed.erase(freed.begin());
  freed[address] = std::move(found->second);
  regions.erase(found);
  return true;
}

void GlobalMemory::map(uint64_t address, uint64_t bytes, std::string name) {
  const std::unique_lock guard(lock);
  regions[address] = {address + bytes, std::move(name), false};
}

void GlobalMemory::unmap(uint64_t address) {
  const std::unique_lock guard(lock);
  regions.erase(address);
}

bool GlobalMemory::find(uint64_t address, uint64_t bytes, Allocation &found) const {
  const std::shared_lock guard(lock);
  auto next = regions.upper_bound(address);
  if (next == regions.begin())
    return false;
  --next;
  if (address + bytes > next->second.end || address + bytes < address)
    return false;
  found.begin = next->first;
  found.end = next->second.end;
  return true;
}

bool GlobalMemory::read(uint64_t address, void *to, uint64_t bytes) const {
  Allocation found;
  if (!find(address, bytes, found))
    return false;
  std::memcpy(to, reinterpret_cast<const void *>(address), bytes);
  return true;
}

std::string GlobalMemory::describe(uint64_t address) const {
  const std::shared_lock guard(lock);
  if (address < 4096)
    return "a null pointer";
  auto gone = freed.upper_bound(address);
  if (gone != freed.begin() && address < (--gone)->second.end)
    return fmt::format("inside of '{}', which was freed", gone->second.name);
  auto next = regions.upper_bound(address);
  if (next != regions.begin()) {
    const auto &[begin, region] = *std::prev(next);
    if (address < region.end)
      return fmt::format("byte {} of '{}' ({} bytes)", address - begin, region.name, region.end - begin);
    if (address - region.end < (1u << 20))
      return fmt::format("{} bytes past the end of '{}' ({} bytes)", address - region.end, region.name,
                         region.end - begin);
  }
  if (next != regions.end() && next->first - address < (1u << 20))
    return fmt::format("{} bytes before '{}'", next->first - address, next->second.name);
  return "in no allocation";
}

void laneAddresses(const Warp &warp, uint32_t slot, unsigned addressBytes, int64_t offset,
                   uint64_t (&addresses)[32]) {
  if (addressBytes == 8) {
    const uint64_t *base = warp.reg<uint64_t>(slot);
    SINTER_EACH_LANE addresses[lane] = base[lane] + static_cast<uint64_t>(offset);
  } else { // 32-bit addresses wrap at 32 bits: [reg+-16]
    const uint32_t *base = warp.reg<uint32_t>(slot);
    const auto add = static_cast<uint32_t>(offset);
    SINTER_EACH_LANE addresses[lane] = base[lane] + add;
  }
}

namespace {

std::string_view verb(AccessKind kind) {
  return kind == AccessKind::load ? "reads" : kind == AccessKind::store ? "writes" : "updates";
}

/// The name of what lies at an address of shared memory.
std::string sharedPlace(const Warp &warp, uint64_t address) {
  const uint32_t offset = address & ((1u << sharedRankShift) - 1);
  for (const auto &[name, begin, end] : warp.program->sharedNames)
    if (offset >= begin && offset < end)
      return fmt::format("byte {} of '{}'", offset - begin, name);
  const uint64_t size = warp.block->shared.size();
  if (offset >= size)
    return fmt::format("{} bytes past the end of shared memory ({} bytes)", offset - size,
                       size - Program::sharedReserved);
  if (offset < Program::sharedReserved)
    return "below the start of shared memory";
  return fmt::format("byte {} of dynamic shared memory", offset - warp.program->dynamicSharedAt);
}

bool misaligned(Warp &warp, const Instruction &in, const Access &access, const uint64_t (&addresses)[32]) {
  uint64_t low = 0;
  for (int lane = 0; lane < lanesOfWarp; ++lane)
    low |= warp.active >> lane & 1 ? addresses[lane] : 0;
  if (!(low & (access.bytes - 1)))
    return false;
  int lane = 0;
  while (!(warp.active >> lane & 1) || !(addresses[lane] & (access.bytes - 1)))
    ++lane;
  warp.fault(in, "{} {} {} bytes at address {:#x}, which is misaligned: expected a multiple of {}",
             warp.describe(lane), verb(access.kind), access.bytes, addresses[lane], access.bytes);
  return true;
}

bool locateGlobalLanes(Warp &warp, const Instruction &in, const Access &access,
                       const uint64_t (&addresses)[32], uint8_t *(&host)[32]) {
  const GlobalRange last = warp.ranges[0];
  const Mask outside =
      warp.active & ~maskOf([&](int lane) { return last.holds(addresses[lane], access.bytes); });
  for (Mask rest = outside; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    if (warp.ranges[0].holds(addresses[lane], access.bytes))
      continue;
    GlobalMemory::Allocation found;
    if (!warp.block->cluster->launch->memory->find(addresses[lane], access.bytes, found)) {
      warp.fault(in, "{} {} {} bytes of global memory at {:#x}: {}", warp.describe(lane), verb(access.kind),
                 access.bytes, addresses[lane],
                 warp.block->cluster->launch->memory->describe(addresses[lane]));
      return false;
    }
    std::move_backward(warp.ranges.begin(), warp.ranges.end() - 1, warp.ranges.end());
    warp.ranges[0] = {found.begin, found.end};
  }
  uint8_t *scratch = warp.scratch.data();
  const Mask active = warp.active;
  SINTER_EACH_LANE host[lane] = active >> lane & 1 ? reinterpret_cast<uint8_t *>(addresses[lane]) : scratch;
  if (GlobalRaceChecker *races = warp.block->cluster->launch->globalRaces.get())
    races->lanes(warp, in, access, addresses, active);
  KernelCounters *counters = warp.block->cluster->counters;
  if (counters && warp.block->cluster->launch->options.counters) {
    const unsigned sectors = globalSectors(addresses, active, access.bytes);
    const uint64_t bytes = static_cast<uint64_t>(__builtin_popcount(active)) * access.bytes;
    if (access.kind == AccessKind::load) {
      ++counters->globalLoadRequests;
      counters->globalLoadSectors += sectors;
      counters->globalLoadBytes += bytes;
    } else {
      ++counters->globalStoreRequests;
      counters->globalStoreSectors += sectors;
      counters->globalStoreBytes += bytes;
    }
  }
  return true;
}

bool locateSharedLanes(Warp &warp, const Instruction &in, const Access &access,
                       const uint64_t (&addresses)[32], uint8_t *(&host)[32]) {
  Block &block = *warp.block;
  const uint32_t own = sharedBase(block);
  const uint64_t size = block.shared.size();
  const auto inside = [&](uint64_t address) {
    const uint64_t offset = address - own;
    return offset >= Program::sharedReserved && offset < size && access.bytes <= size - offset;
  };
  const Mask outside = warp.active & ~maskOf([&](int lane) { return inside(addresses[lane]); });
  uint8_t *scratch = warp.scratch.data(), *shared = block.shared.data();
  const Mask active = warp.active & ~outside;
  SINTER_EACH_LANE host[lane] = active >> lane & 1 ? shared + (addresses[lane] - own) : scratch;
  for (Mask rest = outside; rest; rest &= rest - 1) { // another block's, or nobody's
    const int lane = __builtin_ctz(rest);
    const uint64_t rank = addresses[lane] >> sharedRankShift;
    const uint64_t offset = addresses[lane] & ((1u << sharedRankShift) - 1);
    std::vector<Block> &blocks = block.cluster->blocks;
    if (rank >= blocks.size() || offset < Program::sharedReserved || offset + access.bytes > size) {
      warp.fault(in, "{} {} {} bytes of shared memory at {:#x}: {}", warp.describe(lane), verb(access.kind),
                 access.bytes, addresses[lane],
                 rank >= blocks.size() ? "in no block of the cluster" : sharedPlace(warp, addresses[lane]));
      return false;
    }
    if (access.space == Space::shared) {
      warp.fault(in,
                 "{} {} shared memory of block {} of its cluster; expected an address of its own block or "
                 ".shared::cluster",
                 warp.describe(lane), verb(access.kind), rank);
      return false;
    }
    if (!blockRuns(warp, in, addresses[lane]))
      return false;
    host[lane] = blocks[rank].shared.data() + offset;
  }
  KernelCounters *counters = block.cluster->counters;
  if (counters && block.cluster->launch->options.counters) {
    unsigned ideal = 0;
    const unsigned wavefronts = sharedWavefronts(addresses, warp.active, access.bytes, ideal);
    const bool load = access.kind == AccessKind::load;
    ++(load ? counters->sharedLoadRequests : counters->sharedStoreRequests);
    (load ? counters->sharedLoadWavefronts : counters->sharedStoreWavefronts) += wavefronts;
    counters->sharedConflicts += wavefronts - ideal;
  }
  if (block.cluster->races)
    return block.cluster->races->lanes(warp, in, access, addresses);
  return true;
}

bool locateLocalLanes(Warp &warp, const Instruction &in, const Access &access,
                      const uint64_t (&addresses)[32], uint8_t *(&host)[32]) {
  const uint64_t size = warp.program->localBytes;
  for (int lane = 0; lane < lanesOfWarp; ++lane) {
    host[lane] = warp.scratch.data();
    if (!(warp.active >> lane & 1))
      continue;
    const uint64_t offset = addresses[lane] & 0xffffffff;
    if (offset + access.bytes > size) {
      warp.fault(in, "{} {} {} bytes of local memory at {:#x} of {} bytes", warp.describe(lane),
                 verb(access.kind), access.bytes, offset, size);
      return false;
    }
    host[lane] = warp.local.data() + static_cast<uint64_t>(lane) * size + offset;
  }
  return true;
}

} // namespace

bool locate(Warp &warp, const Instruction &in, const Access &access, uint8_t *(&host)[32]) {
  alignas(64) uint64_t addresses[32];
  laneAddresses(warp, in.a, access.addressBytes, in.offset, addresses);
  return locate(warp, in, access, addresses, host);
}

bool locate(Warp &warp, const Instruction &in, const Access &access, const uint64_t (&addresses)[32],
            uint8_t *(&host)[32]) {
  if (misaligned(warp, in, access, addresses))
    return false;
  switch (access.space) {
  case Space::global:
  case Space::constant:
  case Space::param:
    return locateGlobalLanes(warp, in, access, addresses, host);
  case Space::shared:
  case Space::sharedCluster:
    return locateSharedLanes(warp, in, access, addresses, host);
  case Space::local:
    return locateLocalLanes(warp, in, access, addresses, host);
  case Space::generic:
    break;
  }
  // Generic: by the top byte; lanes may point into different spaces.
  const Mask all = warp.active;
  const Mask shared = all & maskOf([&](int lane) { return addresses[lane] >> 56 == genericShared >> 56; });
  const Mask local = all & maskOf([&](int lane) { return addresses[lane] >> 56 == genericLocal >> 56; });
  if (!shared && !local)
    return locateGlobalLanes(warp, in, access, addresses, host);
  alignas(64) uint64_t plain[32];
  SINTER_EACH_LANE plain[lane] = addresses[lane] & (addresses[lane] >> 56 ? 0xffffffffu : ~0ull);
  uint8_t *part[32];
  for (int lane = 0; lane < lanesOfWarp; ++lane)
    host[lane] = warp.scratch.data();
  Access each = access;
  bool good = true;
  for (const auto &[mask, space] : {std::pair{shared, Space::sharedCluster}, std::pair{local, Space::local},
                                    std::pair{all & ~shared & ~local, Space::global}}) {
    if (!mask || !good)
      continue;
    warp.active = mask;
    each.space = space;
    good = space == Space::global  ? locateGlobalLanes(warp, in, each, plain, part)
           : space == Space::local ? locateLocalLanes(warp, in, each, plain, part)
                                   : locateSharedLanes(warp, in, each, plain, part);
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      if (mask >> lane & 1)
        host[lane] = part[lane];
  }
  warp.active = all;
  return good;
}

bool blockRuns(Warp &warp, const Instruction &in, uint64_t address) {
  const std::vector<Block> &blocks = warp.block->cluster->blocks;
  const uint64_t rank = (address & 0xffffffff) >> sharedRankShift;
  if (rank >= blocks.size() || blocks[rank].runningWarps)
    return true;
  warp.fault(in, "{}: shared memory of block {} of its cluster, which has exited", warp.describe(), rank);
  return false;
}

uint8_t *locateShared(Warp &warp, const Instruction &in, uint64_t address, uint64_t bytes, unsigned align) {
  std::vector<Block> &blocks = warp.block->cluster->blocks;
  const uint64_t rank = (address & 0xffffffff) >> sharedRankShift,
                 offset = address & ((1u << sharedRankShift) - 1);
  if (offset % align) {
    warp.fault(in, "{}: shared address {:#x} is misaligned: expected a multiple of {}", warp.describe(),
               address & 0xffffffff, align);
    return nullptr;
  }
  if (rank >= blocks.size() || offset < Program::sharedReserved ||
      offset + bytes > blocks[rank].shared.size()) {
    warp.fault(in, "{}: {} bytes of shared memory at {:#x}: {}", warp.describe(), bytes, address & 0xffffffff,
               rank >= blocks.size() ? "in no block of the cluster" : sharedPlace(warp, offset + bytes - 1));
    return nullptr;
  }
  return blocks[rank].shared.data() + offset;
}

uint8_t *locateGlobal(Warp &warp, const Instruction &in, uint64_t address, uint64_t bytes, unsigned align) {
  GlobalMemory &memory = *warp.block->cluster->launch->memory;
  GlobalMemory::Allocation found;
  if (address % align) {
    warp.fault(in, "{}: global address {:#x} is misaligned: expected a multiple of {}", warp.describe(),
               address, align);
    return nullptr;
  }
  if (!memory.find(address, bytes, found)) {
    warp.fault(in, "{}: {} bytes of global memory at {:#x}: {}", warp.describe(), bytes, address,
               memory.describe(memory.find(address, 1, found) ? found.end : address));
    return nullptr;
  }
  return reinterpret_cast<uint8_t *>(address);
}

} // namespace sinter::emulator
