// SPDX-License-Identifier: Apache-2.0
// Happens-before for global memory: a cell a word, four where parts of it are accessed.
#include "runtime/device/emulator/GlobalRaces.h"
#include "runtime/device/emulator/Program.h"

#include <algorithm>

namespace sinter::emulator {

bool GlobalRaceChecker::unordered(const Clock &clock, const Stamp &now, const Stamp &before,
                                  const Instruction &in) const {
  if (!before.time)
    return false;
  if (before.cluster != now.cluster) {
    const auto known = clock.others.find(before.cluster);
    return known == clock.others.end() || before.warp >= known->second.size() ||
           known->second[before.warp] < before.time;
  }
  if (before.warp != now.warp)
    return before.warp >= clock.happened.size() || clock.happened[before.warp] < before.time;
  // Lanes of a warp: as in shared memory, bar.warp.sync and all that waits for the warp lies between them or
  // does not.
  return before.lane != now.lane && before.time == now.time && before.line != in.line;
}

std::string GlobalRaceChecker::nameOf(uint32_t cluster, uint32_t warp) const {
  const uint32_t rank = warp / launch.warpsOfBlock(), index = warp % launch.warpsOfBlock();
  const auto &size = launch.cluster;
  const uint32_t x = launch.grid[0] / size[0], y = launch.grid[1] / size[1];
  return fmt::format("warp {} of block ({},{},{})", index, cluster % x * size[0] + rank % size[0],
                     cluster / x % y * size[1] + rank / size[0] % size[1],
                     cluster / x / y * size[2] + rank / size[0] / size[1]);
}

void GlobalRaceChecker::report(Warp &warp, const Instruction &in, const Stamp &now, const Stamp &before,
                               const char *what, const char *earlier, uint64_t address) {
  launch.hazards.addOnce(uint64_t(1) << 63 | uint64_t(in.line) << 32 | before.line,
                         fmt::format("kernel '{}', line {}: {} {} {}, {} in line {} by {}",
                                     launch.program->name, in.line, nameOf(now.cluster, now.warp), what,
                                     launch.memory->describe(address), earlier, before.line,
                                     nameOf(before.cluster, before.warp)));
}

void GlobalRaceChecker::visit(Warp &warp, const Instruction &in, const Clock &clock, const Stamp &stamp,
                              Cell &cell, uint64_t address, bool isWrite) {
  if (unordered(clock, stamp, cell.writer, in))
    report(warp, in, stamp, cell.writer,
           isWrite ? "without synchronisation overwrites" : "without synchronisation reads", "written",
           address);
  if (isWrite) {
    for (const Stamp *reader : {&cell.reader, &cell.otherReader})
      if (unordered(clock, stamp, *reader, in))
        report(warp, in, stamp, *reader, "without synchronisation overwrites", "read", address);
    cell = {stamp, {}, {}};
    return;
  }
  const bool isFirst =
      !cell.reader.time || (cell.reader.cluster == stamp.cluster && cell.reader.warp == stamp.warp);
  (isFirst ? cell.reader : cell.otherReader) = stamp;
}

void GlobalRaceChecker::access(Warp &warp, const Instruction &in, const Clock &clock, const Stamp &stamp,
                               uint64_t address, uint64_t bytes, bool isWrite) {
  const uint64_t end = address + bytes;
  while (address < end) {
    const uint64_t page = address / 4 / wordsOfPage, pageEnd = (page + 1) * wordsOfPage * 4;
    Stripe &stripe = stripes[page % stripes.size()];
    const std::lock_guard guard(stripe.lock);
    std::unique_ptr<Page> &place = stripe.pages[page];
    if (!place)
      place = std::make_unique<Page>();
    for (; address < std::min(end, pageEnd);) {
      const auto word = static_cast<uint32_t>(address / 4 % wordsOfPage);
      const bool whole = address % 4 == 0 && end - address >= 4;
      auto parts = place->bytes.find(word);
      if (whole && parts == place->bytes.end()) {
        visit(warp, in, clock, stamp, place->words[word], address, isWrite);
        address += 4;
        continue;
      }
      if (parts == place->bytes.end()) {
        const Cell &before = place->words[word];
        parts = place->bytes.try_emplace(word, std::array<Cell, 4>{before, before, before, before}).first;
      }
      const uint64_t wordEnd = std::min(end, (address / 4 + 1) * 4);
      for (; address < wordEnd; ++address)
        visit(warp, in, clock, stamp, parts->second[address % 4], address, isWrite);
    }
  }
}

void GlobalRaceChecker::found(Warp &warp, const Access &access, uint8_t *const (&host)[32], Mask active) {
  const std::lock_guard guard(strongLock);
  for (Mask rest = active; rest; rest &= rest - 1)
    strong.found(warp, access, reinterpret_cast<uint64_t>(host[__builtin_ctz(rest)]));
}

void GlobalRaceChecker::lanes(Warp &warp, const Instruction &in, const Access &how,
                              const uint64_t (&addresses)[32], Mask active) {
  const RaceChecker &cluster = *warp.block->cluster->races;
  if (how.synchronizes) { // no data race, wherever it is
    const std::lock_guard guard(strongLock);
    for (Mask rest = active; rest; rest &= rest - 1) {
      const uint64_t address = addresses[__builtin_ctz(rest)];
      if (const auto other = strong.synchronize(warp, in, how, address))
        launch.hazards.addOnce(
            uint64_t(1) << 63 | uint64_t(in.line) << 32 | other->line,
            fmt::format("kernel '{}', line {}: {} with scope {} {} {}, {} in line {} by {} with scope {}: "
                        "expected {}",
                        launch.program->name, in.line, nameOf(warp.block->cluster->index, warp.entity),
                        emulator::nameOf(how.scope), how.kind == AccessKind::load ? "reads" : "writes",
                        launch.memory->describe(address), other->writes ? "written" : "read", other->line,
                        nameOf(other->cluster, other->warp), emulator::nameOf(other->scope),
                        other->cluster == warp.block->cluster->index ? ".cluster" : ".gpu"));
    }
    return;
  }
  const Clock &clock = cluster.clockOf(warp);
  for (Mask rest = active; rest; rest &= rest - 1) {
    const int lane = __builtin_ctz(rest);
    const Stamp stamp = {warp.block->cluster->index, clock.happened[warp.entity], in.line,
                         static_cast<uint16_t>(warp.entity), static_cast<uint8_t>(lane)};
    access(warp, in, clock, stamp, addresses[lane], how.bytes, how.kind != AccessKind::load);
  }
}

void GlobalRaceChecker::range(Warp &warp, const Instruction &in, uint64_t address, uint64_t bytes,
                              bool isWrite) {
  const Clock &clock = warp.block->cluster->races->clockOf(warp);
  const Stamp stamp = {warp.block->cluster->index, clock.happened[warp.entity], in.line,
                       static_cast<uint16_t>(warp.entity), 0};
  access(warp, in, clock, stamp, address, bytes, isWrite);
}

void GlobalRaceChecker::forget(uint64_t address, uint64_t bytes) {
  for (uint64_t word = address / 4; word < (address + bytes + 3) / 4; ++word) {
    Stripe &stripe = stripes[word / wordsOfPage % stripes.size()];
    const std::lock_guard guard(stripe.lock);
    const auto page = stripe.pages.find(word / wordsOfPage);
    if (page == stripe.pages.end())
      continue;
    page->second->words[word % wordsOfPage] = {};
    page->second->bytes.erase(static_cast<uint32_t>(word % wordsOfPage));
  }
}

} // namespace sinter::emulator
