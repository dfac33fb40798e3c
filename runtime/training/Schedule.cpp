// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/Schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace sinter::training {

double Schedule::at(int64_t step) const {
  if (step < warmup)
    return rate * double(step + 1) / double(warmup);
  if (kind == ScheduleKind::Constant)
    return rate;
  int64_t begin = warmup;
  if (kind == ScheduleKind::WarmupStableDecay)
    begin = std::max(warmup, steps - int64_t(std::llround(decayShare * double(steps))));
  if (step < begin)
    return rate;
  const double progress = std::min(1.0, double(step - begin) / double(std::max<int64_t>(1, steps - begin)));
  const double share =
      kind == ScheduleKind::Cosine ? 0.5 * (1 + std::cos(std::numbers::pi * progress)) : 1 - progress;
  return least + (rate - least) * share;
}

} // namespace sinter::training
