// SPDX-License-Identifier: Apache-2.0
// A product by multiply-adds is some loads and then, for each of a thread's sums, a chain of them:
//
//   ld.shared.v4 {a0, a1, ..}, [p];  ld.shared.v4 {b0, b1, ..}, [q];  fma s00', a0, b0, s00;
//   fma s01', a0, b1, s01;  ...;  ld.shared.v4 {c0, ..}, [p+256];  ...;  fma s00'', c0, d0, s00';  ...
//
// One instruction after another, each sum passes through memory at every step, and sums, operands and
// instructions together do not fit the first cache. As one instruction: all loads first (nothing between them
// stores), then eight chains at a time, two rows by four columns, whose sums stay in the processor's
// registers. A sum between two steps that nobody else reads is not written at all. Each sum sees the same
// operations in the same order.
//
// What is loaded is not written to the warp's registers either where the run alone reads it and lanes load as
// those of a product do: each 8 lanes the same rows, all eights the same columns. Then rows are broadcast
// from shared memory as they are needed, and columns, turned once, lie beside.
#include "runtime/device/emulator/MultiplyAdds.h"
#include "runtime/device/emulator/Arithmetic.h"
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Eights.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/LoadStore.h"

#include <algorithm>
#include <map>
#include <unordered_set>

namespace sinter::emulator {

namespace {

constexpr size_t fewestMultiplyAdds = 16; // for which a run is worth its set-up

/// Loads of quads from shared memory at one register plus constants.
struct Quad {
  uint32_t offset; // from the group's lowest
  std::array<uint32_t, 4> slots;
};
struct QuadGroup {
  uint32_t address = 0; // slot
  bool isWide = false;  // of 64 bits a lane
  int64_t lowest = 0;
  uint32_t bytes = 0; // from there on
  std::vector<Quad> quads;
  std::vector<uint32_t> instructions;
};

/// Chains that share factors, two rows by four columns; or one chain.
struct Chains {
  uint32_t steps;
  uint32_t operands;                   // slots: of each step a0, a1, b0 to b3; or a, b
  std::array<uint32_t, 8> first, last; // slots of the sums: rows by columns
};
constexpr size_t tileRows = 2, tileColumns = 4, tileOperands = tileRows + tileColumns;

/// Where a tile's factors of one step are, without registers: the rows in shared memory, behind where the
/// lanes of a group begin, and the first of the columns among those that were turned.
struct DirectStep {
  uint32_t rows; // number of the group
  std::array<uint32_t, tileRows> row;
  uint32_t column;
};
constexpr size_t mostDirectGroups = 16, mostDirectQuads = 64;

} // namespace

struct MultiplyAddRun {
  uint32_t begin = 0, count = 0; // instructions
  std::vector<QuadGroup> groups;
  std::vector<uint32_t> otherLoads; // instructions
  std::vector<Chains> neighbourTiles, tiles, singles;
  std::vector<uint32_t> operands;
  /// Of each step of all neighbourTiles, if factors need no registers; else empty.
  std::vector<DirectStep> directSteps;
  std::vector<bool> hasRows; // of each group: rows, else columns; only with directSteps
};

namespace {

// --- executing a run ---

template <typename A> bool offsetsOf(Warp &warp, const QuadGroup &group, uint32_t (&offsets)[32]) {
  return offsetsInShared(*warp.block, warp.reg<A>(group.address), group.lowest, group.bytes,
                         /*alignment=*/16, offsets);
}

/// Lanes of a product often read one quad, 8 of them at a time, or 8 quads again and again.
enum class Pattern { any, eightAlike, eightsAlike };
Pattern patternOf(const uint32_t (&offsets)[32]) {
  uint32_t alike = 0, again = 0;
  for (int lane = 0; lane < lanesOfWarp; lane += 8)
    for (int i = 0; i < 8; ++i) {
      alike |= offsets[lane + i] ^ offsets[lane];
      again |= offsets[lane + i] ^ offsets[i];
    }
  return !alike ? Pattern::eightAlike : !again ? Pattern::eightsAlike : Pattern::any;
}

void loadGroup(Warp &warp, const QuadGroup &group, const uint32_t (&offsets)[32]) {
  const uint8_t *const shared = warp.block->shared.data();
  uint8_t *const frame = warp.frame;
  switch (patternOf(offsets)) {
  case Pattern::eightAlike:
    for (const Quad &quad : group.quads)
      for (int eight = 0; eight < eights; ++eight) {
        const uint8_t *const from = shared + offsets[eight * 8] + quad.offset;
        for (int part = 0; part < 4; ++part)
          store(frame + quad.slots[part] + eight * eightBytes, broadcast(from + 4 * part));
      }
    return;
  case Pattern::eightsAlike:
    for (const Quad &quad : group.quads) {
      const auto place = [&](int lane) { return shared + quad.offset + offsets[lane]; };
      const std::array<Eight, 4> parts = loadTurned(place);
      for (int part = 0; part < 4; ++part)
        for (int eight = 0; eight < eights; ++eight)
          store(frame + quad.slots[part] + eight * eightBytes, parts[part]);
    }
    return;
  case Pattern::any:
    for (const Quad &quad : group.quads)
      for (int eight = 0; eight < eights; ++eight) {
        const auto place = [&](int i) { return shared + quad.offset + offsets[eight * 8 + i]; };
        const std::array<Eight, 4> parts = loadTurned(place);
        for (int part = 0; part < 4; ++part)
          store(frame + quad.slots[part] + eight * eightBytes, parts[part]);
      }
  }
}

/// All tiles of a run with directSteps. False where lanes load otherwise; then nothing has been done.
bool multiplyDirectly(Warp &warp, const MultiplyAddRun &run) {
  if (run.directSteps.empty())
    return false;
  const uint8_t *const shared = warp.block->shared.data();
  std::array<std::array<uint32_t, eights>, mostDirectGroups> rows; // where the lanes of each 8 begin
  alignas(eightBytes) uint8_t columns[mostDirectQuads * 4 * eightBytes];
  uint8_t *next = columns;
  for (size_t number = 0; number < run.groups.size(); ++number) {
    const QuadGroup &group = run.groups[number];
    uint32_t offsets[32];
    if (!(group.isWide ? offsetsOf<uint64_t>(warp, group, offsets)
                       : offsetsOf<uint32_t>(warp, group, offsets)) ||
        patternOf(offsets) != (run.hasRows[number] ? Pattern::eightAlike : Pattern::eightsAlike))
      return false;
    if (run.hasRows[number]) {
      for (int eight = 0; eight < eights; ++eight)
        rows[number][static_cast<size_t>(eight)] = offsets[eight * 8];
      continue;
    }
    for (const Quad &quad : group.quads)
      for (const Eight &part : loadTurned([&](int lane) { return shared + quad.offset + offsets[lane]; })) {
        store(next, part);
        next += eightBytes;
      }
  }
  for (int eight = 0; eight < eights; ++eight) {
    uint8_t *const at = warp.frame + eight * eightBytes;
    const DirectStep *step = run.directSteps.data();
    for (const Chains &tile : run.neighbourTiles) {
      Eight sums[tileRows * tileColumns];
      for (size_t i = 0; i < tileRows * tileColumns; ++i)
        sums[i] = load(at + tile.first[i]);
      for (const DirectStep *const end = step + tile.steps; step != end; ++step) {
        const uint8_t *const from = shared + rows[step->rows][static_cast<size_t>(eight)];
        Eight factors[tileColumns];
        for (size_t i = 0; i < tileColumns; ++i)
          factors[i] = load(columns + step->column + i * eightBytes);
        for (size_t row = 0; row < tileRows; ++row) {
          const Eight factor = broadcast(from + step->row[row]);
          for (size_t i = 0; i < tileColumns; ++i)
            sums[row * tileColumns + i] = multiplyAdd(factor, factors[i], sums[row * tileColumns + i]);
        }
      }
      for (size_t i = 0; i < tileRows * tileColumns; ++i)
        store(at + tile.last[i], sums[i]);
    }
  }
  return true;
}

/// 8 sums in registers, 8 lanes at a time. `areNeighbours`: factors of a side lie one register behind the
/// other, as quads do that were loaded together.
template <bool areNeighbours>
void multiplyTile(uint8_t *const frame, const Chains &tile, const uint32_t *const operands) {
  constexpr uint32_t registerBytes = lanesOfWarp * sizeof(float);
  for (int eight = 0; eight < eights; ++eight) {
    uint8_t *const at = frame + eight * eightBytes;
    Eight sums[tileRows * tileColumns];
    for (size_t i = 0; i < tileRows * tileColumns; ++i)
      sums[i] = load(at + tile.first[i]);
    const uint32_t *slots = operands;
    for (uint32_t step = 0; step < tile.steps; ++step, slots += tileOperands) {
      const uint8_t *const left = at + slots[0], *const right = at + slots[tileRows];
      Eight columns[tileColumns];
      for (size_t i = 0; i < tileColumns; ++i)
        columns[i] = load(areNeighbours ? right + i * registerBytes : at + slots[tileRows + i]);
      for (size_t row = 0; row < tileRows; ++row) {
        const Eight factor = load(areNeighbours ? left + row * registerBytes : at + slots[row]);
        for (size_t i = 0; i < tileColumns; ++i)
          sums[row * tileColumns + i] = multiplyAdd(factor, columns[i], sums[row * tileColumns + i]);
      }
    }
    for (size_t i = 0; i < tileRows * tileColumns; ++i)
      store(at + tile.last[i], sums[i]);
  }
}

void multiplySingle(uint8_t *const frame, const Chains &chain, const uint32_t *slots) {
  Eight sums[eights];
  for (int i = 0; i < eights; ++i)
    sums[i] = load(frame + chain.first[0] + i * eightBytes);
  for (uint32_t step = 0; step < chain.steps; ++step, slots += 2)
    for (int i = 0; i < eights; ++i)
      sums[i] = multiplyAdd(load(frame + slots[0] + i * eightBytes), load(frame + slots[1] + i * eightBytes),
                            sums[i]);
  for (int i = 0; i < eights; ++i)
    store(frame + chain.last[0] + i * eightBytes, sums[i]);
}

void executeRun(Warp &warp, const Instruction &in) {
  const Program &program = *warp.program;
  const MultiplyAddRun &run = *program.multiplyAddRuns[in.extra];
  const Cluster &cluster = *warp.block->cluster;
  const bool checks = cluster.races || cluster.launch->options.counters;
  const auto oneByOne = [&](const std::vector<uint32_t> &instructions) {
    for (const uint32_t each : instructions) {
      loadOfWords()(warp, program.code[each]);
      if (cluster.faulted)
        return false;
    }
    return true;
  };
  if (!oneByOne(run.otherLoads))
    return;
  if (checks || !multiplyDirectly(warp, run)) {
    for (const QuadGroup &group : run.groups) {
      uint32_t offsets[32];
      if (!checks && (group.isWide ? offsetsOf<uint64_t>(warp, group, offsets)
                                   : offsetsOf<uint32_t>(warp, group, offsets)))
        loadGroup(warp, group, offsets);
      else if (!oneByOne(group.instructions))
        return;
    }
    for (const Chains &tile : run.neighbourTiles)
      multiplyTile<true>(warp.frame, tile, run.operands.data() + tile.operands);
    for (const Chains &tile : run.tiles)
      multiplyTile<false>(warp.frame, tile, run.operands.data() + tile.operands);
    for (const Chains &chain : run.singles)
      multiplySingle(warp.frame, chain, run.operands.data() + chain.operands);
  }
  warp.pc += run.count - 1;
  ++warp.executed[program.code.size() + in.extra];
}

// --- finding runs ---

/// One sum and what is added to it.
struct Chain {
  uint32_t first, last;
  std::vector<uint32_t> left, right;
};

class RunFinder {
public:
  RunFinder(Program &program, const Mentions &mentions) : program(program), mentions(mentions) {
    isTarget.resize(program.code.size() + 1);
    for (const Instruction &in : program.code) {
      if (in.full == branchHandler().full)
        isTarget[in.extra] = true;
      if (in.full == branchTableHandler().full)
        for (uint32_t i = 0; i < in.count; ++i)
          isTarget[program.lists[in.list + i]] = true;
    }
  }

  void find() {
    for (uint32_t at = 0; at < program.code.size();) {
      begin(at);
      while (at < program.code.size() && (at == first || !isTarget[at]) && extend(at))
        ++at;
      if (multiplyAdds >= fewestMultiplyAdds)
        finish(at);
      at = std::max(at, first + 1);
    }
  }

private:
  void begin(uint32_t at) {
    first = at;
    multiplyAdds = 0;
    chains.clear();
    chainOf.clear();
    loads.clear();
    read.clear();
    loaded.clear();
    addressed.clear();
  }
  bool extend(uint32_t at) {
    const Instruction &in = program.code[at];
    if (in.guard)
      return false;
    if (in.full == loadOfWords())
      return extendLoad(at, in);
    return in.full == multiplyAddHandler() && extendChain(in);
  }

  /// A load that may go before everything else of the run.
  bool extendLoad(uint32_t at, const Instruction &in) {
    const auto &access = *static_cast<const Access *>(in.detail);
    if (access.synchronizes || chainOf.contains(in.a) || loaded.contains(in.a))
      return false;
    const std::span<const uint32_t> slots(program.lists.data() + in.list, in.count);
    for (const uint32_t slot : slots)
      if (slot == in.a || addressed.contains(slot) || read.contains(slot) || chainOf.contains(slot) ||
          (slot && loaded.contains(slot)))
        return false;
    loaded.insert(slots.begin(), slots.end());
    addressed.insert(in.a);
    loads.push_back(at);
    return true;
  }

  bool extendChain(const Instruction &in) {
    if (!in.d || loaded.contains(in.d) || chainOf.contains(in.a) || chainOf.contains(in.b))
      return false;
    const auto before = chainOf.find(in.c);
    if (before == chainOf.end()) {
      // A sum of its own: where it goes nobody else of the run may read or write.
      if ((in.d != in.c && read.contains(in.d)) || chainOf.contains(in.d) || in.d == in.a || in.d == in.b ||
          (in.d == in.c && read.contains(in.c)))
        return false;
      chains.push_back({in.c, in.d, {in.a}, {in.b}});
      read.insert({in.a, in.b, in.c});
      chainOf[in.d] = chains.size() - 1;
      ++multiplyAdds;
      return true;
    }
    Chain &chain = chains[before->second];
    const size_t number = before->second;
    if (chain.last != in.c)
      return false;
    if (in.d != in.c) {
      // The sum so far is not written; so nobody but this instruction may want it.
      const auto named = mentions.find(in.c);
      if (named == mentions.end() || named->second != 2 || in.c == chain.first)
        return false;
      if (chainOf.contains(in.d) || in.d == in.a || in.d == in.b)
        return false;
      // Back into where it came from, unless others read that, too.
      if (read.contains(in.d) && (in.d != chain.first || readers(in.d) != 1))
        return false;
    }
    chain.last = in.d;
    chain.left.push_back(in.a);
    chain.right.push_back(in.b);
    read.insert({in.a, in.b});
    chainOf.erase(before);
    chainOf[in.d] = number;
    ++multiplyAdds;
    return true;
  }

  /// How many chains of the run read a slot.
  size_t readers(uint32_t slot) const {
    size_t count = 0;
    for (const Chain &chain : chains)
      count += (chain.first == slot) + std::ranges::count(chain.left, slot) +
               std::ranges::count(chain.right, slot);
    return count;
  }

  void finish(uint32_t end) {
    auto run = std::make_shared<MultiplyAddRun>();
    run->begin = first, run->count = end - first;
    groupLoads(*run);
    tileChains(*run);
    findDirectSteps(*run);
    Instruction &head = program.code[first];
    head.extra = static_cast<uint32_t>(program.multiplyAddRuns.size());
    head.full = &executeRun;
    program.multiplyAddRuns.push_back(std::move(run));
  }

  void groupLoads(MultiplyAddRun &run) {
    std::map<uint32_t, size_t> groupOf;
    for (const uint32_t at : loads) {
      const Instruction &in = program.code[at];
      const auto &access = *static_cast<const Access *>(in.detail);
      if (access.space != Space::shared || in.count != 4 || in.offset < INT32_MIN || in.offset > INT32_MAX) {
        run.otherLoads.push_back(at);
        continue;
      }
      const auto [found, isNew] = groupOf.try_emplace(in.a, run.groups.size());
      if (isNew) {
        run.groups.emplace_back();
        run.groups.back().address = in.a;
        run.groups.back().isWide = access.addressBytes == 8;
        run.groups.back().lowest = in.offset;
      }
      QuadGroup &group = run.groups[found->second];
      group.lowest = std::min(group.lowest, in.offset);
      group.instructions.push_back(at);
    }
    for (QuadGroup &group : run.groups)
      for (const uint32_t at : group.instructions) {
        const Instruction &in = program.code[at];
        Quad &quad = group.quads.emplace_back();
        quad.offset = static_cast<uint32_t>(in.offset - group.lowest);
        std::copy_n(program.lists.data() + in.list, 4, quad.slots.begin());
        group.bytes = std::max(group.bytes, quad.offset + 16);
      }
    // One range and one alignment speak for all of a group.
    for (size_t i = 0; i < run.groups.size();) {
      const auto isOdd = [](const Quad &quad) { return quad.offset % 16 != 0; };
      if (run.groups[i].bytes <= 1 << 20 && std::ranges::none_of(run.groups[i].quads, isOdd)) {
        ++i;
        continue;
      }
      std::ranges::copy(run.groups[i].instructions, std::back_inserter(run.otherLoads));
      run.groups.erase(run.groups.begin() + static_cast<std::ptrdiff_t>(i));
    }
  }

  /// Chains with the same left factors are a row, those with the same right ones a column.
  void tileChains(MultiplyAddRun &run) {
    std::map<std::vector<uint32_t>, size_t> rows, columns;
    std::map<std::pair<size_t, size_t>, size_t> at;
    std::vector<bool> isDone(chains.size());
    for (size_t i = 0; i < chains.size(); ++i) { // numbered by the slots: neighbours in memory, too
      rows[chains[i].left] = 0;
      columns[chains[i].right] = 0;
    }
    for (auto *side : {&rows, &columns})
      for (size_t number = 0; auto &[slots, index] : *side)
        index = number++;
    for (size_t i = 0; i < chains.size(); ++i)
      at.try_emplace({rows[chains[i].left], columns[chains[i].right]}, i);
    for (size_t row = 0; row + tileRows <= rows.size(); row += tileRows)
      for (size_t column = 0; column + tileColumns <= columns.size(); column += tileColumns) {
        std::array<size_t, tileRows * tileColumns> members;
        size_t count = 0;
        for (; count < members.size(); ++count) {
          const auto found = at.find({row + count / tileColumns, column + count % tileColumns});
          if (found == at.end())
            break;
          members[count] = found->second;
        }
        if (count < members.size())
          continue;
        for (const size_t member : members)
          isDone[member] = true;
        addTile(run, members);
      }
    for (size_t i = 0; i < chains.size(); ++i) {
      if (isDone[i])
        continue;
      Chains &single = run.singles.emplace_back();
      single.operands = static_cast<uint32_t>(run.operands.size());
      single.steps = static_cast<uint32_t>(chains[i].left.size());
      single.first[0] = chains[i].first;
      single.last[0] = chains[i].last;
      for (size_t step = 0; step < chains[i].left.size(); ++step)
        for (const uint32_t slot : {chains[i].left[step], chains[i].right[step]})
          run.operands.push_back(slot);
    }
  }

  void addTile(MultiplyAddRun &run, const std::array<size_t, tileRows * tileColumns> &members) {
    Chains tile;
    tile.operands = static_cast<uint32_t>(run.operands.size());
    tile.steps = static_cast<uint32_t>(chains[members[0]].left.size());
    for (size_t i = 0; i < members.size(); ++i) {
      tile.first[i] = chains[members[i]].first;
      tile.last[i] = chains[members[i]].last;
    }
    bool areNeighbours = true;
    for (uint32_t step = 0; step < tile.steps; ++step) {
      std::array<uint32_t, tileOperands> slots;
      for (size_t row = 0; row < tileRows; ++row)
        slots[row] = chains[members[row * tileColumns]].left[step];
      for (size_t column = 0; column < tileColumns; ++column)
        slots[tileRows + column] = chains[members[column]].right[step];
      for (size_t i = 1; i < tileOperands; ++i)
        areNeighbours =
            areNeighbours && (i == tileRows || slots[i] == slots[i - 1] + lanesOfWarp * sizeof(float));
      run.operands.insert(run.operands.end(), slots.begin(), slots.end());
    }
    (areNeighbours ? run.neighbourTiles : run.tiles).push_back(tile);
  }

  /// Whether all loads are of quads that nobody else reads, each group's for the rows of all tiles or for
  /// their columns; then, where each step finds its factors.
  void findDirectSteps(MultiplyAddRun &run) {
    if (!run.tiles.empty() || !run.singles.empty() || run.groups.size() > mostDirectGroups)
      return;
    std::unordered_map<uint32_t, uint32_t> reads;
    for (const Chain &chain : chains)
      for (const auto *side : {&chain.left, &chain.right})
        for (const uint32_t slot : *side)
          ++reads[slot];
    struct Source {
      uint32_t group, offset, part; // bytes behind where lanes begin; number in the group
    };
    std::unordered_map<uint32_t, Source> sources;
    for (uint32_t group = 0; group < run.groups.size(); ++group)
      for (uint32_t part = 0; const Quad &quad : run.groups[group].quads)
        for (uint32_t i = 0; i < 4; ++i, ++part) {
          const auto named = mentions.find(quad.slots[i]);
          if (named == mentions.end() || named->second != 1 + reads[quad.slots[i]])
            return;
          sources[quad.slots[i]] = {group, quad.offset + 4 * i, part};
        }
    std::vector<bool> hasRows(run.groups.size()), hasColumns(run.groups.size());
    for (const uint32_t *slots = run.operands.data(); slots != run.operands.data() + run.operands.size();
         slots += tileOperands)
      for (size_t i = 0; i < tileOperands; ++i) {
        const auto source = sources.find(slots[i]);
        if (source == sources.end())
          return;
        (i < tileRows ? hasRows : hasColumns)[source->second.group] = true;
      }
    // Columns lie behind each other, group by group.
    std::vector<uint32_t> before(run.groups.size());
    uint32_t columns = 0;
    for (size_t group = 0; group < run.groups.size(); ++group) {
      if (hasRows[group] && hasColumns[group])
        return;
      before[group] = columns;
      columns += hasRows[group] ? 0 : static_cast<uint32_t>(run.groups[group].quads.size()) * 4;
    }
    if (columns > mostDirectQuads * 4)
      return;
    std::vector<DirectStep> steps;
    for (const uint32_t *slots = run.operands.data(); slots != run.operands.data() + run.operands.size();
         slots += tileOperands) {
      DirectStep &step = steps.emplace_back();
      const Source column = sources[slots[tileRows]];
      step.rows = sources[slots[0]].group;
      step.column = (before[column.group] + column.part) * eightBytes;
      for (size_t row = 0; row < tileRows; ++row) {
        step.row[row] = sources[slots[row]].offset;
        if (sources[slots[row]].group != step.rows)
          return;
      }
      for (uint32_t i = 0; i < tileColumns; ++i)
        if (const Source each = sources[slots[tileRows + i]];
            each.group != column.group || each.part != column.part + i)
          return;
    }
    run.directSteps = std::move(steps);
    run.hasRows = std::move(hasRows);
  }

  Program &program;
  const Mentions &mentions;
  std::vector<bool> isTarget;
  // Of the run at work.
  uint32_t first = 0;
  size_t multiplyAdds = 0;
  std::vector<Chain> chains;
  std::unordered_map<uint32_t, size_t> chainOf; // by the slot of its sum so far
  std::unordered_set<uint32_t> read; // slots that chains read, their own sums since then not counted
  std::unordered_set<uint32_t> loaded, addressed; // slots that loads write, and read
  std::vector<uint32_t> loads;
};

} // namespace

void countRun(const Program &program, size_t run, std::vector<uint64_t> &executed) {
  const MultiplyAddRun &each = *program.multiplyAddRuns[run];
  for (uint32_t at = each.begin + 1; at < each.begin + each.count; ++at) // the first counted itself
    executed[at] += executed[program.code.size() + run];
}

void joinMultiplyAdds(Program &program, const Mentions &mentions) { RunFinder(program, mentions).find(); }

} // namespace sinter::emulator
