// SPDX-License-Identifier: Apache-2.0
// Asynchronous copies in flight. Under the schedule `earliest` the queue is always empty: work is done when
// it is issued. Under `latest` it is done when a wait demands it and not before, and what it will write is
// poisoned until then.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_ASYNCQUEUE_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_ASYNCQUEUE_H

#include "runtime/device/emulator/Machine.h"
#include <deque>
#include <functional>
#include <map>
#include <set>

namespace sinter::emulator {

class AsyncQueue {
public:
  using Work = std::function<void()>;
  AsyncQueue(Cluster &cluster, Schedule schedule) : cluster(cluster), latest(schedule == Schedule::latest) {}

  /// Work of an instruction whose end an mbarrier tells; it will write `bytes` at `poison` (null: nothing to
  /// poison).
  void onBarrier(const Instruction &in, uint64_t barrier, uint8_t *poison, uint64_t bytes, Work work);
  /// Somebody looked at an mbarrier whose phase is not complete.
  void polled(uint64_t barrier) { awaited.insert(barrier); }

  /// Work of a lane in its current group: cp.async (wait_group), or bulk stores, whose source is read by
  /// `read` (due at wait_group.read) and whose destination is written by `write`.
  enum Kind : uint8_t { copies, bulk, kinds };
  void inGroup(const Instruction &in, Kind kind, Warp &warp, int lane, uint8_t *poison, uint64_t bytes,
               Work read, Work write);
  void commit(Kind kind, Warp &warp);
  /// All but the newest `pending` groups of the active lanes are done; with `readOnly`, have read their
  /// sources.
  void wait(Kind kind, Warp &warp, uint32_t pending, bool readOnly);
  /// Everything so far of the lanes, committed or not (cp.async.wait_all).
  void waitAll(Kind kind, Warp &warp);
  /// cp.async.mbarrier.arrive: `arrive` follows all earlier cp.async of the lane, when the barrier is waited
  /// for.
  void afterCopies(const Instruction &in, Warp &warp, int lane, uint64_t barrier, Work arrive);

  /// Does the work of barriers that somebody waits for, oldest first. False if there is none.
  bool completeAwaited();
  /// A block has exited: with it goes the shared memory that copies must not read or write any more. A hazard
  /// each.
  void blockExited(const Block &block);
  /// At the end of the cluster: what nobody waited for.
  void finish();

private:
  struct OnBarrier {
    const Instruction *in;
    uint64_t barrier;
    Work work;
  };
  struct InGroup {
    const Instruction *in;
    Kind kind;
    Warp *warp;
    uint8_t lane;
    uint32_t group;
    Work read, write;
  };
  template <typename F> void complete(F matches, bool readOnly);

  Cluster &cluster;
  bool latest;
  std::deque<OnBarrier> barriers;
  std::deque<InGroup> groups;
  std::set<uint64_t> awaited;
  std::map<std::pair<const Warp *, Kind>, std::array<uint32_t, 32>>
      committed; // groups each lane has committed
};

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_ASYNCQUEUE_H
