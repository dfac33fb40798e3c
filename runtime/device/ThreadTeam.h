// SPDX-License-Identifier: Apache-2.0
// A fixed team of threads that enters one parallel region a step. Inside it the threads meet at spin
// barriers; a thread that waits long sleeps, so that a crowded machine slows down gently.
#ifndef SINTER_RUNTIME_DEVICE_THREADTEAM_H
#define SINTER_RUNTIME_DEVICE_THREADTEAM_H

#include "runtime/Result.h"
#include <atomic>
#include <cstdint>
#include <memory>
#include <pthread.h>
#include <vector>

namespace sinter::device {

/// Whether a thread that waits may need to make room for the one it waits for. Who waits in vain for a
/// millisecond within a step, far longer than one thread waits for another that has a core, says so for the
/// next 50 milliseconds.
class alignas(64) Crowding {
public:
  /// More threads than cores: always.
  bool always = false;

  bool isCrowded(int64_t now) const { return always || now < until.load(std::memory_order_relaxed); }
  void notice(int64_t now);

private:
  std::atomic<int64_t> until{0}; // on the steady clock, in nanoseconds
};

/// A number that some threads wait for another to change.
class alignas(64) Signal {
public:
  uint32_t read() const { return value.load(std::memory_order_acquire); }

  /// Waits until the number is not `old`, for a millisecond at most, or a few microseconds where it is
  /// crowded. Gives whether it has changed.
  bool spinWhile(uint32_t old, const Crowding &crowding) const;

  /// Waits until the number is not `old`, in the kernel.
  void sleepWhile(uint32_t old);

  /// Sets the number and wakes who sleeps.
  void set(uint32_t next);

private:
  std::atomic<uint32_t> value{0};
  std::atomic<uint32_t> sleepers{0};
};

class ThreadTeam {
public:
  /// What every thread runs: `thread` counts from 0, which is the caller of run().
  using Body = void (*)(void *context, int thread);

  /// Starts `threads` - 1 threads; they sleep between regions. Fails when the system gives no more threads.
  static Result<std::unique_ptr<ThreadTeam>> start(int threads);
  ~ThreadTeam();

  /// Runs `body` on every thread and returns when all have passed their last barrier and left.
  void run(Body body, void *context);

  /// Called by every thread of the team inside run(): returns when all have called it.
  void barrier();

  int threads() const { return count; }

private:
  explicit ThreadTeam(int threads) : count(threads) {}
  struct Worker {
    ThreadTeam *team;
    int index;
    pthread_t handle;
  };
  static void *workerMain(void *worker);

  const int count;
  std::vector<Worker> workers; // threads 1 to count - 1; never grows after start
  Body body = nullptr;         // null tells the workers to end
  void *context = nullptr;
  Crowding crowding;
  Signal generation; // counts regions
  Signal phase;      // counts barriers
  alignas(64) std::atomic<uint32_t> arrived{0};
};

/// Threads that make sense here: the physical cores that this process may run on, no more than its control
/// group's share of processor time.
int usableCores();

/// `wanted` threads; 0: one a usable core.
int threadsOrCores(int wanted);

} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_THREADTEAM_H
