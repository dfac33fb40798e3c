// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/Schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace sinter::training {
namespace {

TEST(Schedule, warmsUpInEqualStepsAndFollowsHalfACosine) {
  const Schedule schedule{ScheduleKind::Cosine, 1.0, 0.1, 110, 10};
  EXPECT_DOUBLE_EQ(schedule.at(0), 0.1);
  EXPECT_DOUBLE_EQ(schedule.at(4), 0.5);
  EXPECT_DOUBLE_EQ(schedule.at(9), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(10), 1.0);
  EXPECT_NEAR(schedule.at(60), 0.55, 1e-12); // half way
  EXPECT_NEAR(schedule.at(35), 0.1 + 0.9 * (0.5 + 0.5 * std::sqrt(0.5)), 1e-12);
  EXPECT_GT(schedule.at(109), 0.1);
  EXPECT_NEAR(schedule.at(110), 0.1, 1e-12);
  EXPECT_NEAR(schedule.at(1000), 0.1, 1e-12);
}

TEST(Schedule, ofWarmupStableDecayFallsInItsLastShareOnly) {
  const Schedule schedule{ScheduleKind::WarmupStableDecay, 1.0, 0.0, 100, 5, 0.2};
  EXPECT_DOUBLE_EQ(schedule.at(5), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(80), 1.0);
  EXPECT_DOUBLE_EQ(schedule.at(90), 0.5);
  EXPECT_NEAR(schedule.at(99), 0.05, 1e-12);
}

TEST(Schedule, linearFallsAndConstantStays) {
  EXPECT_DOUBLE_EQ((Schedule{ScheduleKind::Linear, 1.0, 0.0, 100, 0}.at(25)), 0.75);
  EXPECT_DOUBLE_EQ((Schedule{ScheduleKind::Constant, 1.0, 0.5, 100, 0}.at(99)), 1.0);
  EXPECT_DOUBLE_EQ((Schedule{ScheduleKind::Cosine, 1.0, 0.5, 0, 0}.at(0)),
                   1.0); // no steps: nothing divides by them
}

} // namespace
} // namespace sinter::training
