// SPDX-License-Identifier: Apache-2.0
// The learning rate of each step.
#ifndef SINTER_RUNTIME_TRAINING_SCHEDULE_H
#define SINTER_RUNTIME_TRAINING_SCHEDULE_H

#include <cstdint>

namespace sinter::training {

enum class ScheduleKind { Cosine, WarmupStableDecay, Linear, Constant };

struct Schedule {
  ScheduleKind kind = ScheduleKind::Cosine;
  double rate = 3e-4, least = 3e-5;
  int64_t steps = 1000, warmup = 10;
  double decayShare = 0.2; ///< of the steps, at the end: warm-up-stable-decay

  /// The rate of step `step` (from 0). It climbs to `rate` in `warmup` equal steps, of which the first is not
  /// 0. Then it
  /// * cosine: follows half a cosine down to `least` (Loshchilov and Hutter, arXiv:1608.03983)
  /// * wsd: stays, and falls in a line to `least` in the last share of the steps (Hu et al.,
  /// arXiv:2404.06395)
  /// * linear: falls in a line to `least`
  /// * constant: stays.
  /// `least` would be the rate of the step behind the last.
  double at(int64_t step) const;
};

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_SCHEDULE_H
