// SPDX-License-Identifier: Apache-2.0
// When asynchronous copies happen.
#include "runtime/device/emulator/AsyncQueue.h"

#include <cstring>

namespace sinter::emulator {

namespace {
constexpr uint8_t poisonByte = 0xff; // NaN in every floating-point format
}

void AsyncQueue::onBarrier(const Instruction &in, uint64_t barrier, uint8_t *poison, uint64_t bytes,
                           Work work) {
  if (!latest)
    return work();
  if (poison)
    std::memset(poison, poisonByte, bytes);
  barriers.push_back({&in, barrier, std::move(work)});
}

void AsyncQueue::inGroup(const Instruction &in, Kind kind, Warp &warp, int lane, uint8_t *poison,
                         uint64_t bytes, Work read, Work write) {
  if (!latest) {
    if (read)
      read();
    return write();
  }
  if (poison)
    std::memset(poison, poisonByte, bytes);
  groups.push_back({&in, kind, &warp, static_cast<uint8_t>(lane),
                    committed[{&warp, kind}][static_cast<size_t>(lane)], std::move(read), std::move(write)});
}

void AsyncQueue::commit(Kind kind, Warp &warp) {
  if (!latest)
    return;
  std::array<uint32_t, 32> &counts = committed[{&warp, kind}];
  for (Mask rest = warp.active; rest; rest &= rest - 1)
    ++counts[static_cast<size_t>(__builtin_ctz(rest))];
}

template <typename F> void AsyncQueue::complete(F matches, bool readOnly) {
  // Work may not be added while it is done, but a fault may end the cluster.
  std::deque<InGroup> rest;
  for (InGroup &each : groups) {
    if (!matches(each)) {
      rest.push_back(std::move(each));
      continue;
    }
    if (each.read) {
      each.read();
      each.read = nullptr;
    }
    if (readOnly)
      rest.push_back(std::move(each));
    else
      each.write();
  }
  groups = std::move(rest);
}

void AsyncQueue::wait(Kind kind, Warp &warp, uint32_t pending, bool readOnly) {
  if (groups.empty())
    return;
  const std::array<uint32_t, 32> &counts = committed[{&warp, kind}];
  complete(
      [&](const InGroup &each) {
        return each.kind == kind && each.warp == &warp && warp.active >> each.lane & 1 &&
               each.group + pending < counts[each.lane];
      },
      readOnly);
}

void AsyncQueue::waitAll(Kind kind, Warp &warp) {
  complete(
      [&](const InGroup &each) {
        return each.kind == kind && each.warp == &warp && warp.active >> each.lane & 1;
      },
      false);
}

void AsyncQueue::afterCopies(const Instruction &in, Warp &warp, int lane, uint64_t barrier, Work arrive) {
  onBarrier(in, barrier, nullptr, 0, [this, &warp, lane, arrive = std::move(arrive)] {
    complete(
        [&](const InGroup &each) { return each.kind == copies && each.warp == &warp && each.lane == lane; },
        false);
    arrive();
  });
}

bool AsyncQueue::completeAwaited() {
  for (const Block &block : cluster.blocks)
    for (const Warp &warp : block.warps)
      for (const Group &group : warp.groups)
        if (group.wait.kind == Wait::mbarrier)
          awaited.insert(group.wait.address);
  bool any = false;
  for (size_t i = 0; i < barriers.size();) {
    if (!awaited.contains(barriers[i].barrier)) {
      ++i;
      continue;
    }
    const Work work = std::move(barriers[i].work);
    barriers.erase(barriers.begin() + static_cast<ptrdiff_t>(i));
    work();
    any = true;
  }
  awaited.clear();
  return any;
}

void AsyncQueue::blockExited(const Block &block) {
  if (!cluster.races)
    return;
  const auto report = [&](const Instruction &in, const char *does) {
    cluster.launch->hazards.addOnce(
        reinterpret_cast<uint64_t>(&in),
        fmt::format("line {}: block ({},{},{}) exits while a copy still {} its shared memory", in.line,
                    block.id[0], block.id[1], block.id[2], does));
  };
  for (const InGroup &each : groups)
    if (each.read && each.warp->block == &block)
      report(*each.in, "reads");
  for (const OnBarrier &each : barriers)
    if (each.barrier >> sharedRankShift == block.rank)
      report(*each.in, "writes");
}

void AsyncQueue::finish() {
  complete([](const InGroup &) { return true; }, false);
  while (!barriers.empty()) {
    const Work work = std::move(barriers.front().work);
    barriers.pop_front();
    work();
  }
}

} // namespace sinter::emulator
