// SPDX-License-Identifier: Apache-2.0
// Who sees what a strong operation releases.
#include "runtime/device/emulator/Scopes.h"

#include <algorithm>

namespace sinter::emulator {

const char *nameOf(Scope scope) {
  return scope == Scope::cta ? ".cta" : scope == Scope::cluster ? ".cluster" : ".gpu";
}

std::optional<StrongPlaces::Use> StrongPlaces::synchronize(Warp &warp, const Instruction &in,
                                                           const Access &access, uint64_t address) {
  Place &place = places[address];
  const RaceChecker &checker = *warp.block->cluster->races;
  const Clock &clock = checker.clockOf(warp);
  const Use now{warp.block->cluster->index,     warp.block->rank, warp.entity,
                clock.happened[warp.entity],    in.line,          access.scope,
                access.kind != AccessKind::load};
  std::optional<Use> race;
  const auto ordered = [&](const Use &before) {
    const std::vector<uint32_t> *known = &clock.happened;
    if (before.cluster != now.cluster) {
      const auto other = clock.others.find(before.cluster);
      known = other == clock.others.end() ? nullptr : &other->second;
    }
    return known && before.warp < known->size() && (*known)[before.warp] >= before.time;
  };
  for (const auto &kind : place.uses)
    for (const Use &before : kind) {
      const bool sameCluster = before.cluster == now.cluster;
      if (!before.time || (sameCluster && before.rank == now.rank) || !(before.writes || now.writes))
        continue;
      const Scope needed = sameCluster ? Scope::cluster : Scope::gpu;
      if (std::min(before.scope, now.scope) < needed && !ordered(before))
        race = before;
    }
  // Of each kind the last two of different blocks are kept.
  auto &[last, other] = place.uses[(now.scope < Scope::gpu ? 2u : 0u) + now.writes];
  if (last.cluster != now.cluster || last.rank != now.rank)
    other = last;
  last = now;
  if (access.kind != AccessKind::store)
    acquire(warp, access, place);
  if (access.kind != AccessKind::load)
    release(warp, access, place);
  return race;
}

void StrongPlaces::found(Warp &warp, const Access &access, uint64_t address) {
  if (const auto place = places.find(address); place != places.end())
    acquire(warp, access, place->second);
}

void StrongPlaces::acquire(Warp &warp, const Access &access, const Place &place) {
  RaceChecker &checker = *warp.block->cluster->races;
  const uint32_t cluster = warp.block->cluster->index;
  const auto take = [&](const Clock &clock, Scope least) {
    if (access.scope >= least)
      checker.acquireLater(warp, clock, access.acquires, least);
  };
  // Where a block has released, too, what others did is not told apart: better a race unseen than a false
  // one.
  const auto first = place.releasers.lower_bound(keyOf(cluster, 0));
  const bool ofCluster = first != place.releasers.end() && *first <= keyOf(cluster, allBlocks),
             ofBlock = place.releasers.contains(keyOf(cluster, warp.block->rank));
  take(place.wide, ofBlock ? Scope::cta : ofCluster ? Scope::cluster : Scope::gpu);
  if (place.narrow.empty())
    return;
  if (const auto own = place.narrow.find(keyOf(cluster, warp.block->rank)); own != place.narrow.end())
    take(own->second, Scope::cta);
  if (const auto own = place.narrow.find(keyOf(cluster, allBlocks)); own != place.narrow.end())
    take(own->second, ofBlock ? Scope::cta : Scope::cluster);
}

void StrongPlaces::release(Warp &warp, const Access &access, Place &place) {
  RaceChecker &checker = *warp.block->cluster->races;
  const uint32_t cluster = warp.block->cluster->index;
  const auto give = [&](const Clock &clock, Scope scope) {
    if (scope == Scope::gpu)
      place.wide.join(checker.asOther(clock));
    else
      place.narrow[keyOf(cluster, scope == Scope::cta ? warp.block->rank : allBlocks)].join(clock);
    if (scope > Scope::cta)
      place.releasers.insert(keyOf(cluster, warp.block->rank));
  };
  if (access.releases) {
    give(checker.clockOf(warp), access.scope);
    checker.warpSync(warp);
    return;
  }
  // A fence before it: the scope is the narrower one of both.
  uint32_t given = 0; // until when
  for (const Scope scope : {Scope::gpu, Scope::cluster, Scope::cta}) {
    const Clock *fence = checker.fenceOf(warp, scope);
    if (!fence || fence->happened[warp.entity] <= given)
      continue;
    given = fence->happened[warp.entity];
    give(*fence, std::min(scope, access.scope));
  }
}

} // namespace sinter::emulator
