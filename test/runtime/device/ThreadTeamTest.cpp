// SPDX-License-Identifier: Apache-2.0
#include "runtime/device/ThreadTeam.h"
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

using namespace sinter::device;

namespace {

/// Each thread writes its number of rounds, passes a barrier and checks everyone's.
struct Work {
  ThreadTeam *team;
  int rounds;
  std::vector<int> progress; // padding is not needed: correctness only
  std::atomic<int> mistakes{0};
};

void meet(void *context, int thread) {
  Work &work = *static_cast<Work *>(context);
  for (int round = 1; round <= work.rounds; ++round) {
    work.progress[size_t(thread)] = round;
    work.team->barrier();
    for (int each : work.progress)
      work.mistakes += each != round;
    work.team->barrier();
  }
}

class ThreadTeamTest : public testing::TestWithParam<int> {};

TEST_P(ThreadTeamTest, NobodyPassesABarrierBeforeAllHaveCome) {
  std::unique_ptr<ThreadTeam> team = std::move(*ThreadTeam::start(GetParam()));
  for (int region = 0; region < 20; ++region) {
    Work work{team.get(), 50, std::vector<int>(size_t(GetParam())), {}};
    team->run(meet, &work);
    ASSERT_EQ(work.mistakes, 0);
  }
}

TEST_P(ThreadTeamTest, ThreadsThatFellAsleepComeBack) {
  std::unique_ptr<ThreadTeam> team = std::move(*ThreadTeam::start(GetParam()));
  for (int region = 0; region < 5; ++region) {
    Work work{team.get(), 2, std::vector<int>(size_t(GetParam())), {}};
    usleep(20000);
    team->run(
        [](void *context, int thread) {
          if (thread == 0)
            usleep(10000); // the others wait for it in the kernel
          meet(context, thread);
        },
        &work);
    ASSERT_EQ(work.mistakes, 0);
  }
}

// 16: more threads than cores, where pure spinning would take forever.
INSTANTIATE_TEST_SUITE_P(Threads, ThreadTeamTest, testing::Values(1, 2, 3, 16));

// After a yield a busy neighbour keeps the core for a whole time slice; a sleeper that is woken comes back at
// once. The kernel counts who slept as voluntary switches, who yielded as others.
TEST(CrowdedThreadTeamTest, WhoWaitsSleepsAndDoesNotYield) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &before))
      CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  {
    std::unique_ptr<ThreadTeam> team = std::move(*ThreadTeam::start(2));
    Work work{team.get(), 500, std::vector<int>(2), {}};
    rusage start{}, end{};
    getrusage(RUSAGE_SELF, &start);
    team->run(meet, &work);
    getrusage(RUSAGE_SELF, &end);
    EXPECT_EQ(work.mistakes, 0);
    EXPECT_GE(end.ru_nvcsw - start.ru_nvcsw, 500); // of 1001 barriers, at each of which one of the two waits
  }
  sched_setaffinity(0, sizeof before, &before);
}

TEST(UsableCoresTest, IsPositive) { EXPECT_GE(usableCores(), 1); }

} // namespace
