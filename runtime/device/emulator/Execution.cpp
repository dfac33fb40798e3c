// SPDX-License-Identifier: Apache-2.0
// The life of a launch: clusters are dealt to CPU threads; a cluster's warps take turns; a warp runs the
// group of lanes with the lowest pc until it meets another group, waits, or has had its time.
#include "runtime/device/emulator/Execution.h"
#include "runtime/device/emulator/AsyncQueue.h"
#include "runtime/device/emulator/Barriers.h"
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/GlobalRaces.h"
#include "runtime/device/emulator/HostMemory.h"
#include "runtime/device/emulator/InFlight.h"
#include "runtime/device/emulator/Memory.h"
#include "runtime/device/emulator/MultiplyAdds.h"
#include "runtime/device/emulator/Races.h"
#include "runtime/device/emulator/Wgmma.h"
#include "runtime/device/emulator/WgmmaFences.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <thread>

namespace sinter::emulator {

namespace {

constexpr uint32_t sliceInstructions = 1 << 14; // of a group, before another may run
constexpr uint64_t turnInstructions = 1 << 17;  // of a cluster, before another may run
constexpr size_t residentClusters = 1024;       // that a CPU thread keeps going at once, when they spin
constexpr std::chrono::microseconds pause(50);  // of a CPU thread whose clusters wait for those of others

bool compatible(const Group &a, const Group &b) {
  const auto movable = [](const Group &g) {
    return g.wait.kind == Wait::nothing || g.wait.kind == Wait::lanes;
  };
  return a.pc == b.pc && movable(a) && movable(b);
}

/// Joins groups at one pc; lanes that waited for others there try again.
void mergeGroups(std::vector<Group> &groups) {
  for (size_t i = 0; i < groups.size(); ++i)
    for (size_t j = i + 1; j < groups.size();) {
      if (!compatible(groups[i], groups[j])) {
        ++j;
        continue;
      }
      groups[i].mask |= groups[j].mask;
      groups[i].wait = {};
      groups[i].age = std::min(groups[i].age, groups[j].age);
      groups[j] = groups.back();
      groups.pop_back();
    }
}

/// Makes a runnable group the running one. False if every group waits.
bool pick(Warp &warp) {
  std::vector<Group> &groups = warp.groups;
  if (groups.size() > 1)
    mergeGroups(groups);
  size_t best = groups.size();
  for (size_t i = 0; i < groups.size(); ++i) {
    if (groups[i].wait.kind != Wait::nothing)
      continue;
    const auto before = [&](const Group &a,
                            const Group &b) { // lowest pc; after a long run, who waited longest
      return warp.rotate && a.age != b.age ? a.age < b.age : a.pc < b.pc;
    };
    if (best == groups.size() || before(groups[i], groups[best]))
      best = i;
  }
  if (best == groups.size())
    return false;
  warp.pc = groups[best].pc;
  warp.mask = groups[best].mask;
  groups[best] = groups.back();
  groups.pop_back();
  // Stop at the next pc of another group; one that waits for lanes at its pc counts, too.
  warp.stop = ~0u;
  for (const Group &group : groups)
    if ((group.wait.kind == Wait::nothing || group.wait.kind == Wait::lanes) && group.pc > warp.pc)
      warp.stop = std::min(warp.stop, group.pc);
  return true;
}

enum class WarpState { done, waiting, yielded, ran };

/// Runs the warp for a slice.
WarpState runWarp(Warp &warp, uint64_t &spent) {
  Cluster &cluster = *warp.block->cluster;
  const Instruction *code = warp.program->code.data();
  uint32_t budget = sliceInstructions;
  const uint64_t limit = cluster.launch->options.maxInstructions;
  if (limit) {
    if (warp.instructions >= limit && pick(warp)) {
      warp.fault(code[warp.pc], "{} has executed {} instructions, the limit, and has not ended",
                 warp.describe(), limit);
      return WarpState::ran;
    }
    budget = static_cast<uint32_t>(std::min<uint64_t>(budget, limit - warp.instructions));
  }
  warp.yields = false;
  bool ran = false;
  while (budget && !cluster.faulted) {
    if (!pick(warp))
      break;
    ran = true;
    warp.active = warp.mask;
    const uint32_t before = budget;
    if (warp.inFlightAccumulators || warp.fragments) {
      do {
        const Instruction &in = code[warp.pc];
        if (warp.inFlightAccumulators && !checkInFlight(warp, in))
          break;
        ++warp.executed[warp.pc++];
        warp.active = in.guard ? warp.mask & (warp.predicate(in.guard) ^ in.guardFlip) : warp.mask;
        if (warp.active && warp.fragments)
          noteFragmentWrites(warp, in);
        if (warp.active)
          in.masked(warp, in);
        --budget;
      } while (warp.pc < warp.stop && budget && (warp.inFlightAccumulators || warp.fragments));
    } else if (warp.mask == allLanes) {
      do {
        const Instruction &in = code[warp.pc];
        ++warp.executed[warp.pc++];
        if (!in.guard) {
          in.full(warp, in);
        } else if (const Mask active = warp.predicate(in.guard) ^ in.guardFlip) {
          warp.active = active;
          in.masked(warp, in);
          warp.active = warp.mask;
        }
        --budget;
      } while (warp.pc < warp.stop && budget && !warp.inFlightAccumulators);
    } else {
      do {
        const Instruction &in = code[warp.pc];
        ++warp.executed[warp.pc++];
        warp.active = in.guard ? warp.mask & (warp.predicate(in.guard) ^ in.guardFlip) : warp.mask;
        if (warp.active)
          in.masked(warp, in);
        --budget;
      } while (warp.pc < warp.stop && budget && !warp.inFlightAccumulators);
    }
    spent += before - budget;
    if (limit)
      warp.instructions += before - budget;
    if (warp.mask) {
      const uint32_t age = ++cluster.clock;
      warp.groups.push_back({warp.pc, warp.mask, {}, age});
      warp.mask = 0;
    }
    warp.rotate = !budget;
    if (warp.yields)
      break;
  }
  if (!warp.live && warp.groups.empty())
    return WarpState::done;
  if (warp.yields)
    return WarpState::yielded;
  return ran ? WarpState::ran : WarpState::waiting;
}

bool canRun(const Warp &warp) {
  for (const Group &group : warp.groups)
    if (group.wait.kind == Wait::nothing)
      return true;
  return false;
}

/// Whether nobody but spinning warps can go on.
bool onlySpins(const Cluster &cluster) {
  for (const Block &block : cluster.blocks)
    for (const Warp &warp : block.warps)
      if (warp.live && !warp.yields && canRun(warp))
        return false;
  return true;
}

std::string dims(const std::array<uint32_t, 3> &values) {
  return fmt::format("({},{},{})", values[0], values[1], values[2]);
}

/// Who waits for what, when nobody can go on.
std::string explainDeadlock(const Cluster &cluster) {
  std::string text = "deadlock: every warp waits\n";
  int lines = 0;
  for (const Block &block : cluster.blocks)
    for (const Warp &warp : block.warps)
      for (const Group &group : warp.groups) {
        if (++lines > 16)
          continue;
        const uint32_t line =
            warp.program->code[group.wait.kind == Wait::barrier ? group.pc - 1 : group.pc].line;
        text += fmt::format("  block {}, warp {}, lanes {:#x}, line {}: ", dims(block.id), warp.index,
                            group.mask, line);
        text += explainWait(warp, group.wait) + "\n";
      }
  if (lines > 16)
    text += fmt::format("  and {} more\n", lines - 16);
  text.pop_back();
  return text;
}

} // namespace

void Warp::suspend(const Wait &wait, bool again) {
  groups.push_back({again ? pc - 1 : pc, active, wait, 0});
  mask &= ~active;
  leave();
}

std::string Warp::describe(int lane) const {
  std::string text = fmt::format("block {}, ", dims(block->id));
  if (lane < 0)
    return text + fmt::format("warp {}", index);
  const auto &size = block->cluster->launch->block;
  const uint32_t thread = index * lanesOfWarp + static_cast<uint32_t>(lane);
  return text + fmt::format("thread {}",
                            dims({thread % size[0], thread / size[0] % size[1], thread / size[0] / size[1]}));
}

void Warp::report(const Instruction &at, std::string text) {
  block->cluster->fault(fmt::format("kernel '{}', line {}: {}", program->name, at.line, text));
  leave();
}

void Cluster::fault(std::string text) {
  if (faulted)
    return;
  faulted = true;
  faultText = std::move(text);
}

Launch::Launch() = default;
Launch::~Launch() = default;
Cluster::~Cluster() = default;

Cluster::Cluster(Launch &launch, std::vector<uint64_t> &executed) : launch(&launch) {
  const Program &program = *launch.program;
  const uint32_t count = launch.blocksOfCluster(), warps = launch.warpsOfBlock();
  blocks.resize(count);
  frames.resize(static_cast<size_t>(count) * warps * program.frameBytes + 64);
  auto *frame = reinterpret_cast<uint8_t *>((reinterpret_cast<uintptr_t>(frames.data()) + 63) / 64 * 64);
  for (uint32_t rank = 0; rank < count; ++rank) {
    Block &block = blocks[rank];
    block.cluster = this;
    block.rank = rank;
    block.shared.resize(launch.dynamicShared ? program.dynamicSharedAt + launch.dynamicShared
                                             : program.staticShared);
    block.warps.resize(warps);
    for (uint32_t w = 0; w < warps; ++w, frame += program.frameBytes) {
      Warp &warp = block.warps[w];
      warp.frame = frame;
      warp.block = &block;
      warp.program = &program;
      warp.index = w;
      warp.entity = rank * warps + w;
      warp.executed = executed.data();
      warp.local.resize(static_cast<size_t>(program.localBytes) * lanesOfWarp);
    }
  }
}

namespace {

/// A warp as its block begins: registers, constants, special registers, addresses.
void startWarp(const Launch &launch, const Block &block, Warp &warp) {
  const Program &program = *launch.program;
  const bool isFirst = !warp.groups.capacity(); // later ones find constants and addresses as they were
  const uint32_t lanes = std::min<uint32_t>(lanesOfWarp, launch.threadsOfBlock() - warp.index * lanesOfWarp);
  warp.live = lanes == lanesOfWarp ? allLanes : (1u << lanes) - 1;
  warp.mask = warp.active = 0;
  warp.ranges = {};
  warp.groups.assign(1, {program.entry, warp.live, {}, 0});
  warp.spins = 0;
  warp.instructions = 0;
  warp.yields = warp.rotate = false;
  warp.clusterPhase = 0;
  warp.clusterArrived = warp.clusterWaits = 0;
  warp.inFlightAccumulators = 0;
  warp.inFlight.reset();
  warp.fragments =
      launch.options.races && program.fragmentWrites ? std::make_shared<FragmentState>() : nullptr;
  warp.maxRegisters = 0;
  warp.groupTrace = 0;
  std::fill(warp.local.begin(), warp.local.end(), uint8_t(0));
  if (isFirst)
    std::memcpy(warp.frame, program.image.data(), program.frameBytes);
  fillSpecials(launch, block, warp);
  if (!program.callees.empty()) {
    warp.calls = std::make_shared<CallStack>();
    warp.calls->depth.resize(program.callees.size());
    std::memset(warp.frame + program.stackPointer, 0, 8 * lanesOfWarp);
  }
  if (!isFirst)
    return;
  for (const Program::AddressSlot &slot : program.addresses) {
    uint64_t value = slot.value;
    if (slot.kind == Program::AddressSlot::parameter)
      value += reinterpret_cast<uint64_t>(launch.parameterMemory);
    else
      value += sharedBase(block) +
               (slot.kind == Program::AddressSlot::dynamicShared ? program.dynamicSharedAt : 0);
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      std::memcpy(warp.frame + slot.slot + slot.bytes * lane, &value, slot.bytes);
  }
}

} // namespace

void Cluster::start(uint32_t at) {
  index = at;
  groupTimes.clear();
  clusterPhase = clock = 0;
  progress = 0;
  const uint32_t count = launch->blocksOfCluster(), warps = launch->warpsOfBlock();
  async = std::make_unique<AsyncQueue>(*this, launch->options.schedule);
  if (launch->options.races)
    races = std::make_unique<RaceChecker>(*this, count, warps);
  const auto &size = launch->cluster;
  const std::array<uint32_t, 3> clusters = {launch->grid[0] / size[0], launch->grid[1] / size[1],
                                            launch->grid[2] / size[2]};
  const std::array<uint32_t, 3> place = {index % clusters[0], index / clusters[0] % clusters[1],
                                         index / clusters[0] / clusters[1]};
  for (Block &block : blocks) {
    const uint32_t rank = block.rank;
    block.id = {place[0] * size[0] + rank % size[0], place[1] * size[1] + rank / size[0] % size[1],
                place[2] * size[2] + rank / size[0] / size[1]};
    std::fill(block.shared.begin(), block.shared.end(), uint8_t(0xff));
    block.barriers = {};
    block.runningWarps = warps;
    for (Warp &warp : block.warps)
      startWarp(*launch, block, warp);
  }
  runningWarps = count * warps;
}

Cluster::State Cluster::run() {
  uint64_t spent = 0;
  while (runningWarps && !faulted) {
    bool ran = false, spun = false;
    const uint64_t before = progress;
    for (Block &block : blocks)
      for (Warp &warp : block.warps) {
        if (!warp.live || !canRun(warp))
          continue;
        const Mask live = warp.live;
        const WarpState state = runWarp(warp, spent);
        if (faulted)
          return State::done;
        if (state == WarpState::yielded)
          spun = true;
        else
          ran = true;
        if (warp.live != live)
          lanesExited(block);
        if (!warp.live && warp.groups.empty()) {
          warpgroupExited(warp);
          if (!--block.runningWarps)
            async->blockExited(block);
          --runningWarps;
        }
      }
    if (!runningWarps)
      break;
    if (ran || progress != before) {
      if (spent > turnInstructions || launch->stopped.load(std::memory_order_relaxed))
        return State::running;
      continue;
    }
    // Only waiting and spinning: asynchronous work that somebody waits for is due now.
    if (async->completeAwaited())
      continue;
    if (spun)
      return State::running;
    fault(fmt::format("kernel '{}': {}", launch->program->name, explainDeadlock(*this)));
  }
  if (!faulted)
    async->finish();
  return State::done;
}

Result<> checkLaunch(const Launch &launch) {
  const Program &program = *launch.program;
  constexpr uint32_t gridLimits[] = {0x7fffffff, 65535, 65535}, blockLimits[] = {1024, 1024, 64};
  for (int axis = 0; axis < 3; ++axis) {
    if (!launch.grid[axis] || launch.grid[axis] > gridLimits[axis])
      return fail("grid {}: expected 1 to {} blocks along axis {}", dims(launch.grid), gridLimits[axis],
                  axis);
    if (!launch.block[axis] || launch.block[axis] > blockLimits[axis])
      return fail("block {}: expected 1 to {} threads along axis {}", dims(launch.block), blockLimits[axis],
                  axis);
    if (!launch.cluster[axis] || launch.grid[axis] % launch.cluster[axis])
      return fail("grid {}: expected a multiple of the cluster {}", dims(launch.grid), dims(launch.cluster));
    if (program.requiredThreads[0] && launch.block[axis] != program.requiredThreads[axis])
      return fail("kernel '{}' requires blocks of {} threads, found {}", program.name,
                  dims(program.requiredThreads), dims(launch.block));
    if (program.requiredCluster[0] && launch.cluster[axis] != program.requiredCluster[axis])
      return fail("kernel '{}' requires clusters of {} blocks, found {}", program.name,
                  dims(program.requiredCluster), dims(launch.cluster));
  }
  if (launch.threadsOfBlock() > 1024)
    return fail("block {}: expected at most 1024 threads, found {}", dims(launch.block),
                launch.threadsOfBlock());
  const auto product = [](const std::array<uint32_t, 3> &size) { // of any three numbers, or enough
    return std::min<uint64_t>(uint64_t(size[0]) * size[1], uint64_t(1) << 32) * size[2];
  };
  if (const auto &max = program.maxThreads; max[0] && launch.threadsOfBlock() > product(max))
    return fail("kernel '{}' allows blocks of {} threads at most, found {}", program.name, product(max),
                launch.threadsOfBlock());
  if (product(launch.cluster) > 16)
    return fail("cluster {}: expected at most 16 blocks, found {}", dims(launch.cluster),
                product(launch.cluster));
  constexpr uint64_t sharedLimit = 227 * 1024;
  const uint64_t shared =
      program.dynamicSharedAt - Program::sharedReserved + std::min(launch.dynamicShared, uint64_t(1) << 40);
  if (shared > sharedLimit)
    return fail("kernel '{}' needs {} bytes of shared memory; a block has {}", program.name, shared,
                sharedLimit);
  const uint64_t warp = program.frameBytes + uint64_t(program.localBytes) * lanesOfWarp,
                 cluster = warp * launch.warpsOfBlock() * launch.blocksOfCluster();
  if (cluster > physicalMemory() / 2)
    return fail(
        "kernel '{}' needs {} bytes for the registers and local memory of a cluster; this machine has {}",
        program.name, cluster, physicalMemory());
  if (launch.parameters.size() != program.parameterBytes)
    return fail("kernel '{}' takes {} bytes of parameters, found {}", program.name, program.parameterBytes,
                launch.parameters.size());
  return {};
}

namespace {

/// Memory for parameters. Kernels may take the address of one, in 32 bits where their compiler uses short
/// pointers (Triton does, of tensor maps): so it lies below 2^31 where the system can do that. Pages are
/// aligned more than a map needs.
class LowPages {
public:
  explicit LowPages(size_t bytes) : bytes(bytes) {
#ifdef MAP_32BIT
    memory = map(MAP_32BIT);
#endif
    if (memory == MAP_FAILED)
      memory = map(0);
  }
  LowPages(const LowPages &) = delete;
  LowPages &operator=(const LowPages &) = delete;
  ~LowPages() {
    if (memory != MAP_FAILED)
      munmap(memory, bytes);
  }
  uint8_t *data() const { return memory == MAP_FAILED ? nullptr : static_cast<uint8_t *>(memory); }

private:
  void *map(int flags) const {
    return mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  }

  size_t bytes;
  void *memory = MAP_FAILED;
};

} // namespace

Result<KernelCounters> execute(Launch &launch) {
  if (Result<> checked = checkLaunch(launch); !checked)
    return tl::unexpected<Error>(checked.error());
  const uint64_t clusters =
      static_cast<uint64_t>(launch.grid[0]) * launch.grid[1] * launch.grid[2] / launch.blocksOfCluster();
  unsigned threads =
      launch.options.threads ? launch.options.threads : std::max(1u, std::thread::hardware_concurrency());
  threads = static_cast<unsigned>(std::min<uint64_t>(threads, clusters));
  const LowPages pages(launch.parameters.size() + 1);
  if (!pages.data())
    return fail("expected {} bytes of memory for the kernel's parameters, found less",
                launch.parameters.size());
  launch.parameterMemory = pages.data();
  if (!launch.parameters.empty())
    std::memcpy(pages.data(), launch.parameters.data(), launch.parameters.size());
  const auto parameters = reinterpret_cast<uint64_t>(launch.parameterMemory);
  launch.memory->map(parameters, launch.parameters.size() + 1, "the kernel's parameters");
  if (launch.options.races)
    launch.globalRaces = std::make_unique<GlobalRaceChecker>(launch);
  KernelCounters total;
  std::string fault;
  std::mutex lock;
  std::atomic<uint64_t> next{0};
  const auto work = [&] {
    KernelCounters counters;
    counters.executed.resize(launch.program->code.size() + launch.program->multiplyAddRuns.size());
    std::vector<std::unique_ptr<Cluster>> running, spare; // a finished one's memory serves the next
    std::string mine;
    while (mine.empty() && !launch.stopped.load(std::memory_order_relaxed)) {
      bool allSpin = true;
      if (running.size() < residentClusters)
        if (const uint64_t index = next.fetch_add(1); index < clusters) {
          if (spare.empty()) {
            spare.push_back(std::make_unique<Cluster>(launch, counters.executed));
            spare.back()->counters = &counters;
          }
          running.push_back(std::move(spare.back()));
          spare.pop_back();
          running.back()->start(static_cast<uint32_t>(index));
          allSpin = false;
        }
      if (running.empty())
        break;
      for (size_t i = 0; i < running.size() && mine.empty();) {
        if (running[i]->run() == Cluster::State::running) {
          allSpin = allSpin && onlySpins(*running[i]);
          ++i;
          continue;
        }
        mine = running[i]->faultText;
        ++counters.blocks;
        spare.push_back(std::move(running[i]));
        running[i] = std::move(running.back());
        running.pop_back();
        allSpin = false;
      }
      if (allSpin && threads > 1) // leave the processor to the threads that they wait for
        std::this_thread::sleep_for(pause);
    }
    const std::lock_guard guard(lock);
    total.add(counters);
    if (!mine.empty()) {
      launch.stopped = true;
      if (fault.empty())
        fault = mine;
    }
  };
  std::vector<std::thread> team;
  for (unsigned i = 1; i < threads; ++i)
    team.emplace_back(work);
  work();
  for (std::thread &thread : team)
    thread.join();
  launch.memory->unmap(parameters);
  launch.globalRaces.reset();
  if (!fault.empty())
    return tl::unexpected<Error>(Error{fault});
  for (size_t run = 0; run < launch.program->multiplyAddRuns.size(); ++run) // all of it, each time
    countRun(*launch.program, run, total.executed);
  total.executed.resize(launch.program->code.size());
  total.blocks = static_cast<uint64_t>(launch.grid[0]) * launch.grid[1] * launch.grid[2];
  total.warps = total.blocks * launch.warpsOfBlock();
  return total;
}

} // namespace sinter::emulator
