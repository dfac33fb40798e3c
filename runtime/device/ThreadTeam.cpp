// SPDX-License-Identifier: Apache-2.0
// Threads, the counting barrier, and the two ways to wait. Correct by C++'s memory model alone: the store
// to a Signal's value and the load of its sleepers, and the other way round in the waiter, are sequentially
// consistent, so one of the two sees the other.
#include "runtime/device/ThreadTeam.h"
#include <algorithm>
#include <cerrno>
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
#include <vector>

namespace sinter::device {

namespace {

// Who sleeps takes 50 microseconds to wake, so a thread spins for longer than it waits for another that has a
// core. On a crowded machine it makes room soon, and sleeps rather than yields: after a yield a busy
// neighbour keeps the core for a whole time slice, and so does a thread that has used up its own by spinning;
// a sleeper has a claim to it when it wakes.
constexpr int64_t spinTime = 1'000'000, crowdedSpinTime = 20'000, crowdedTime = 50'000'000; // nanoseconds
constexpr int pausesBetweenLooks = 64; // at the clock, about a microsecond

int64_t now() { return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1); }

void futexWait(std::atomic<uint32_t> &word, uint32_t old) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, old, nullptr, nullptr, 0);
}
void futexWakeAll(std::atomic<uint32_t> &word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

/// The processors this process may run on, as one set of as many parts as the system needs (each is for
/// 1,024); none when the system does not say.
std::vector<cpu_set_t> allowedCpus() {
  std::vector<cpu_set_t> allowed(1);
  while (sched_getaffinity(0, allowed.size() * sizeof(cpu_set_t), allowed.data()) != 0) {
    if (errno != EINVAL || allowed.size() >= 1024)
      return {};
    allowed.resize(allowed.size() * 2); // smaller than the system's own
  }
  return allowed;
}

} // namespace

void Crowding::notice(int64_t now) {
  if (!isCrowded(now)) // else it was no long wait
    until.store(now + crowdedTime, std::memory_order_relaxed);
}

bool Signal::spinWhile(uint32_t old, const Crowding &crowding) const {
  int64_t end = 0;
  while (true) {
    for (int i = 0; i < pausesBetweenLooks; ++i) {
      if (value.load(std::memory_order_acquire) != old)
        return true;
      _mm_pause();
    }
    if (crowding.always) // the one that is waited for may need this very core
      return false;
    const int64_t time = now();
    if (end == 0)
      end = time + (crowding.isCrowded(time) ? crowdedSpinTime : spinTime);
    else if (time > end)
      return false;
  }
}

void Signal::sleepWhile(uint32_t old) {
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
  const std::vector<cpu_set_t> allowed = allowedCpus();
  team->crowding.always =
      !allowed.empty() && CPU_COUNT_S(allowed.size() * sizeof(cpu_set_t), allowed.data()) < threads;
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
    if (!team.generation.spinWhile(seen, team.crowding))
      team.generation.sleepWhile(seen);
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
  const uint32_t old = phase.read();
  if (arrived.fetch_add(1, std::memory_order_acq_rel) == uint32_t(count) - 1) {
    arrived.store(0, std::memory_order_relaxed);
    phase.set(old + 1);
  } else if (!phase.spinWhile(old, crowding)) {
    crowding.notice(now());
    phase.sleepWhile(old);
  }
}

int usableCores() {
  const std::vector<cpu_set_t> allowed = allowedCpus();
  std::set<std::pair<int, int>> cores; // (package, core): two hyperthreads count once
  const size_t bytes = allowed.size() * sizeof(cpu_set_t);
  for (int cpu = 0; cpu < int(bytes * 8); ++cpu) {
    if (!CPU_ISSET_S(cpu, bytes, allowed.data()))
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

int threadsOrCores(int wanted) { return wanted > 0 ? wanted : usableCores(); }

} // namespace sinter::device
