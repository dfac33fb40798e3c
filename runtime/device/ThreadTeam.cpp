// SPDX-License-Identifier: Apache-2.0
// Threads, the counting barrier, and the two ways to wait. Correct by C++'s memory model alone: the store
// to a Signal's value and the load of its sleepers, and the other way round in the waiter, are sequentially
// consistent, so one of the two sees the other.
#include "runtime/device/ThreadTeam.h"
#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <immintrin.h>
#include <linux/futex.h>
#include <sched.h>
#include <set>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace sinter::device {

namespace {

using Clock = std::chrono::steady_clock;

// Longer than one thread waits for another within a step: who sleeps takes 50 microseconds to wake. Who waits
// longer waits for a thread that has no core, and should make room. It sleeps rather than yields: after a
// yield a busy neighbour keeps the core for its whole time slice, but a sleeper is let in soon after it is
// woken. With more threads than cores the one that is waited for may need this very core.
constexpr std::chrono::microseconds spinTime{1000}, crowdedSpinTime{0};
constexpr int pausesBetweenLooks = 64; // at the clock

void futexWait(std::atomic<uint32_t> &word, uint32_t old) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, old, nullptr, nullptr, 0);
}
void futexWakeAll(std::atomic<uint32_t> &word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

} // namespace

void Signal::waitWhile(uint32_t old, bool crowded) {
  const auto patience = crowded ? crowdedSpinTime : spinTime;
  Clock::time_point begin;
  for (bool looked = false;; looked = true) {
    for (int i = 0; i < pausesBetweenLooks; ++i) {
      if (value.load(std::memory_order_acquire) != old)
        return;
      _mm_pause();
    }
    const Clock::time_point now = Clock::now();
    if (!looked)
      begin = now;
    if (now - begin >= patience)
      break;
  }
  sleepers.fetch_add(1, std::memory_order_seq_cst);
  while (value.load(std::memory_order_seq_cst) == old)
    futexWait(value, old);
  sleepers.fetch_sub(1, std::memory_order_seq_cst);
}

void Signal::set(uint32_t next) {
  value.store(next, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) != 0)
    futexWakeAll(value);
}

Result<std::unique_ptr<ThreadTeam>> ThreadTeam::start(int threads) {
  std::unique_ptr<ThreadTeam> team(new ThreadTeam(threads));
  team->workers.reserve(size_t(threads) - 1);
  cpu_set_t allowed;
  team->crowded = sched_getaffinity(0, sizeof allowed, &allowed) == 0 && CPU_COUNT(&allowed) < threads;
  for (int i = 1; i < threads; ++i) {
    team->workers.push_back({team.get(), i, {}});
    const int error =
        pthread_create(&team->workers.back().handle, nullptr, workerMain, &team->workers.back());
    if (error != 0) {
      team->workers.pop_back();
      return fail("cannot start thread {} of {}: {}", i + 1, threads, std::strerror(error));
    }
  }
  return team;
}

ThreadTeam::~ThreadTeam() {
  body = nullptr;
  generation.set(generation.read() + 1);
  for (Worker &worker : workers)
    pthread_join(worker.handle, nullptr);
}

void *ThreadTeam::workerMain(void *argument) {
  Worker &worker = *static_cast<Worker *>(argument);
  ThreadTeam &team = *worker.team;
  for (uint32_t seen = 0;; ++seen) {
    team.generation.waitWhile(seen, team.crowded);
    if (!team.body)
      return nullptr;
    team.body(team.context, worker.index);
    team.barrier();
  }
}

void ThreadTeam::run(Body newBody, void *newContext) {
  body = newBody;
  context = newContext;
  generation.set(generation.read() + 1);
  body(context, 0);
  barrier();
}

void ThreadTeam::barrier() {
  const uint32_t now = phase.read();
  if (arrived.fetch_add(1, std::memory_order_acq_rel) == uint32_t(count) - 1) {
    arrived.store(0, std::memory_order_relaxed);
    phase.set(now + 1);
  } else {
    phase.waitWhile(now, crowded);
  }
}

int usableCores() {
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return 1;
  std::set<std::pair<int, int>> cores; // (package, core): two hyperthreads count once
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed))
      continue;
    std::pair<int, int> core = {-1, cpu};
    for (const char *what : {"physical_package_id", "core_id"}) {
      const std::string path = fmt::format("/sys/devices/system/cpu/cpu{}/topology/{}", cpu, what);
      if (FILE *file = std::fopen(path.c_str(), "re")) {
        int number;
        if (std::fscanf(file, "%d", &number) == 1)
          (what[0] == 'p' ? core.first : core.second) = number;
        std::fclose(file);
      }
    }
    cores.insert(core);
  }
  int count = std::max<int>(1, int(cores.size()));
  if (FILE *file = std::fopen("/sys/fs/cgroup/cpu.max", "re")) {
    long long quota, period;
    if (std::fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0)
      count = std::min<int>(count, std::max<int>(1, int((quota + period - 1) / period)));
    std::fclose(file);
  }
  return count;
}

} // namespace sinter::device
