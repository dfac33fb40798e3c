// SPDX-License-Identifier: Apache-2.0
// Happens-before for shared memory, a cell a byte.
#include "runtime/device/emulator/Races.h"
#include "runtime/device/emulator/Program.h"
#include "runtime/device/emulator/Scopes.h"

#include <algorithm>

namespace sinter::emulator {

namespace {

void grow(std::vector<uint32_t> &mine, const std::vector<uint32_t> &theirs) {
  if (mine.size() < theirs.size())
    mine.resize(theirs.size());
  for (size_t i = 0; i < theirs.size(); ++i)
    mine[i] = std::max(mine[i], theirs[i]);
}

} // namespace

void Clock::join(const Clock &other) {
  grow(happened, other.happened);
  grow(fenced, other.fenced);
  grow(inits, other.inits);
  for (const auto &[cluster, clock] : other.others)
    grow(others[cluster], clock);
}

RaceChecker::RaceChecker(Cluster &cluster, uint32_t blocks, uint32_t warpsOfBlock)
    : cluster(cluster), warps(blocks * warpsOfBlock), warpsOfBlock(warpsOfBlock), clocks(warps),
      fences(warps), strong(std::make_unique<StrongPlaces>()), moreReaders(1) {
  agentTimes.assign(warps * 4, 0);
  for (uint32_t w = 0; w < warps; ++w) {
    clocks[w].happened.assign(warps, 0);
    clocks[w].happened[w] = 1;
    clocks[w].fenced.assign(warps, 0);
  }
  shadow.resize(blocks);
}

RaceChecker::~RaceChecker() = default;

RaceChecker::Cell *RaceChecker::cells(uint64_t address) {
  const uint64_t rank = address >> sharedRankShift & 0xff;
  std::vector<Cell> &block = shadow[rank];
  if (block.empty())
    block.resize(cluster.blocks[rank].shared.size());
  return block.data() + (address & ((1u << sharedRankShift) - 1));
}

std::string RaceChecker::nameOf(uint16_t entity) const {
  const auto warp = [&](uint32_t index) {
    return fmt::format("warp {} of block {} in the cluster", index % warpsOfBlock, index / warpsOfBlock);
  };
  if (entity < warps)
    return warp(entity);
  if (entity < warps * 4) {
    constexpr const char *kinds[] = {"cp.async", "bulk copies", "wgmma"};
    const uint32_t index = entity - warps;
    return fmt::format("{} of {}", kinds[index % 3], warp(index / 3));
  }
  return "a bulk copy";
}

void RaceChecker::report(Warp &warp, const Instruction &in, const char *what, const char *earlier,
                         uint32_t line, uint16_t entity, uint64_t address) {
  if (!reported.emplace(in.line, line).second)
    return;
  std::string text = fmt::format("line {}: {} {} shared memory at {:#x}", in.line, warp.describe(), what,
                                 address & 0xffffff);
  if (entity != nobody)
    text += fmt::format(", {} by {} in line {}", earlier, nameOf(entity), line);
  cluster.launch->hazards.add(std::move(text));
}

void RaceChecker::read(Warp &warp, const Instruction &in, Cell &cell, uint16_t entity, uint8_t lane,
                       uint32_t time, uint64_t address, bool async) {
  const Clock &clock = clocks[warp.entity];
  if (cell.writer == nobody) {
    report(warp, in, "reads uninitialised", "", 0, nobody, address);
    cell.writer = entity; // once is enough
    cell.written = 0;
    return;
  }
  if (cell.writer == entity && entity < warps) {
    // Lanes of one warp are ordered by bar.warp.sync and stronger, not by running together.
    if (cell.writerLane != lane && cell.writerLane != noLane && cell.written == time)
      report(warp, in, "without bar.warp.sync reads", "written", cell.writeLine, cell.writer, address);
  } else if (cell.writer != entity && cell.written && !ordered(clock.happened, cell.writer, cell.written)) {
    const bool pending = cell.writer >= warps;
    report(warp, in, pending ? "without waiting for its copy reads" : "without synchronisation reads",
           "written", cell.writeLine, cell.writer, address);
  } else if (async && cell.generic && cell.written && !ordered(clock.fenced, cell.writer, cell.written)) {
    report(warp, in, "without fence.proxy.async after a thread's write lets the asynchronous proxy read",
           "written", cell.writeLine, cell.writer, address);
  }
  if (cell.reader == entity) {
    cell.readerLane = cell.read == time && cell.readerLane != lane ? manyLanes : lane;
    cell.read = time;
    cell.readLine = in.line;
    return;
  }
  if (cell.reader == nobody || ordered(clock.happened, cell.reader, cell.read)) {
    cell.reader = entity;
    cell.readerLane = lane;
    cell.read = time;
    cell.readLine = in.line;
    return;
  }
  if (!cell.readers) {
    cell.readers = static_cast<uint32_t>(moreReaders.size());
    moreReaders.emplace_back();
  }
  for (Reader &each : moreReaders[cell.readers])
    if (each.entity == entity) {
      each.time = time;
      each.line = in.line;
      return;
    }
  moreReaders[cell.readers].push_back({entity, time, in.line});
}

void RaceChecker::write(Warp &warp, const Instruction &in, Cell &cell, uint16_t entity, uint8_t lane,
                        uint32_t time, uint64_t address, bool async) {
  const Clock &clock = clocks[warp.entity];
  const auto unordered = [&](uint16_t other, uint8_t otherLane, uint32_t otherTime, uint32_t line) {
    if (other == nobody || !otherTime)
      return false;
    if (other == entity && entity < warps)
      return otherLane != lane && otherLane != noLane && otherTime == time && line != in.line;
    return other != entity && !ordered(clock.happened, other, otherTime);
  };
  if (unordered(cell.writer, cell.writerLane, cell.written, cell.writeLine))
    report(warp, in, "without synchronisation overwrites", "written", cell.writeLine, cell.writer, address);
  if (unordered(cell.reader, cell.readerLane, cell.read, cell.readLine))
    report(warp, in, "without synchronisation overwrites", "read", cell.readLine, cell.reader, address);
  if (cell.readers) {
    for (const Reader &each : moreReaders[cell.readers])
      if (unordered(each.entity, noLane, each.time, each.line))
        report(warp, in, "without synchronisation overwrites", "read", each.line, each.entity, address);
    moreReaders[cell.readers].clear();
  }
  const uint32_t readers = cell.readers;
  cell = {};
  cell.readers = readers;
  cell.writer = entity;
  cell.writerLane = lane;
  cell.written = time;
  cell.writeLine = in.line;
  cell.generic = !async;
}

bool RaceChecker::lanes(Warp &warp, const Instruction &in, const Access &access,
                        const uint64_t (&addresses)[32]) {
  const uint32_t time = clocks[warp.entity].happened[warp.entity];
  for (Mask rest = warp.active; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    Cell *cell = cells(addresses[lane]);
    if (access.synchronizes)
      if (const auto other = strong->synchronize(warp, in, access, addresses[lane] & 0xffffffff);
          other && reported.emplace(in.line, other->line).second)
        cluster.launch->hazards.add(fmt::format(
            "line {}: {} with scope {} uses shared memory at {:#x}, used in line {} by {} with scope {}: "
            "expected .cluster",
            in.line, warp.describe(), emulator::nameOf(access.scope), addresses[lane] & 0xffffff, other->line,
            nameOf(static_cast<uint16_t>(other->warp)), emulator::nameOf(other->scope)));
    for (unsigned i = 0; i < access.bytes; ++i) {
      if (access.synchronizes) { // an atomic or volatile access is no data race; it initialises
        if (access.kind != AccessKind::load && cell[i].writer == nobody) {
          cell[i].writer = static_cast<uint16_t>(warp.entity);
          cell[i].generic = true;
        }
        continue;
      }
      if (access.kind == AccessKind::load)
        read(warp, in, cell[i], static_cast<uint16_t>(warp.entity), static_cast<uint8_t>(lane), time,
             addresses[lane] + i, false);
      else
        write(warp, in, cell[i], static_cast<uint16_t>(warp.entity), static_cast<uint8_t>(lane), time,
              addresses[lane] + i, false);
    }
  }
  return true;
}

void RaceChecker::release(Warp &warp, Clock &into) {
  Clock &clock = clocks[warp.entity];
  into.join(clock);
  ++clock.happened[warp.entity];
}

void RaceChecker::acquire(Warp &warp, const Clock &from) { clocks[warp.entity].join(from); }

Clock RaceChecker::asOther(const Clock &clock) const {
  Clock result;
  result.others = clock.others;
  std::vector<uint32_t> &own = result.others[cluster.index];
  own.assign(clock.happened.begin(), clock.happened.begin() + warps);
  return result;
}

void RaceChecker::acquireLater(Warp &warp, const Clock &place, bool now, Scope least) {
  const auto join = [&](Clock &target) {
    target.join(place);
    // Of its own cluster a release says the same as a barrier would.
    if (const auto own = place.others.find(cluster.index); own != place.others.end())
      grow(target.happened, own->second);
  };
  if (now)
    return join(clocks[warp.entity]);
  for (auto scope = static_cast<size_t>(least); scope < fences[warp.entity].found.size(); ++scope)
    join(fences[warp.entity].found[scope]);
}

void RaceChecker::memoryFence(Warp &warp, Scope scope) {
  Fences &mine = fences[warp.entity];
  Clock &clock = clocks[warp.entity];
  clock.join(mine.found[static_cast<size_t>(scope)]);
  for (size_t each = 0; each <= static_cast<size_t>(scope); ++each) {
    mine.found[each] = {};
    mine.clocks[each] = clock;
  }
  ++clock.happened[warp.entity];
}

const Clock *RaceChecker::fenceOf(const Warp &warp, Scope scope) const {
  const Clock &clock = fences[warp.entity].clocks[static_cast<size_t>(scope)];
  return clock.happened.empty() ? nullptr : &clock;
}

void RaceChecker::barrierInitialized(Warp &warp, const Instruction &in, uint64_t address) {
  initialisations[address] = {warp.entity, clocks[warp.entity].happened[warp.entity], in.line};
}

void RaceChecker::usesBarrier(Warp &warp, const Instruction &in, uint64_t address) {
  const auto found = initialisations.find(address);
  if (found == initialisations.end())
    return;
  const auto &[entity, time, line] = found->second;
  const Clock &clock = clocks[warp.entity];
  if (entity == warp.entity || ordered(clock.happened, static_cast<uint16_t>(entity), time) ||
      ordered(clock.inits, static_cast<uint16_t>(entity), time) || !reported.emplace(in.line, line).second)
    return;
  const bool sameBlock = entity / warpsOfBlock == warp.entity / warpsOfBlock;
  cluster.launch->hazards.add(fmt::format(
      "line {}: {} uses the mbarrier at {:#x} without synchronisation, initialised by {} in line {}{}",
      in.line, warp.describe(), address, nameOf(static_cast<uint16_t>(entity)), line,
      sameBlock ? "" : ": expected fence.mbarrier_init or a release before barrier.cluster"));
}

void RaceChecker::initFence(Warp &warp) {
  Clock &clock = clocks[warp.entity];
  std::vector<uint32_t> &inits = fences[warp.entity].inits;
  inits = clock.happened;
  grow(inits, clock.inits);
  ++clock.happened[warp.entity];
}

void RaceChecker::arriveRelaxed(Warp &warp, Clock &into) {
  if (const Clock *fence = fenceOf(warp, Scope::cluster))
    into.join(*fence);
  grow(into.inits, fences[warp.entity].inits);
}

void RaceChecker::warpSync(Warp &warp) { ++clocks[warp.entity].happened[warp.entity]; }

void RaceChecker::proxyFence(Warp &warp) {
  Clock &clock = clocks[warp.entity];
  clock.fenced = clock.happened;
}

uint32_t RaceChecker::agentOf(const Warp &warp, Agent agent) const {
  return warps + warp.entity * 3 + static_cast<uint32_t>(agent);
}

uint32_t RaceChecker::agentOf(uint64_t mbarrierAddress) {
  const auto [entry, isNew] =
      mbarrierAgents.try_emplace(mbarrierAddress, static_cast<uint32_t>(agentTimes.size()));
  if (isNew)
    agentTimes.push_back(0);
  return entry->second;
}

uint32_t RaceChecker::tick(uint32_t agent) { return ++agentTimes[agent]; }

void RaceChecker::asyncAccess(Warp &issuer, const Instruction &in, uint32_t agent, uint32_t time,
                              uint64_t address, uint64_t bytes, bool isWrite, bool async) {
  Cell *cell = cells(address);
  for (uint64_t i = 0; i < bytes; ++i) {
    if (isWrite)
      write(issuer, in, cell[i], static_cast<uint16_t>(agent), noLane, time, address + i, async);
    else
      read(issuer, in, cell[i], static_cast<uint16_t>(agent), noLane, time, address + i, async);
  }
}

void RaceChecker::completed(Clock &clock, uint32_t agent, uint32_t time) {
  for (std::vector<uint32_t> *each : {&clock.happened, &clock.fenced}) {
    if (each->size() <= agent)
      each->resize(agent + 1);
    (*each)[agent] = std::max((*each)[agent], time);
  }
}

void RaceChecker::completed(Warp &warp, uint32_t agent, uint32_t time) {
  completed(clocks[warp.entity], agent, time);
}

} // namespace sinter::emulator
