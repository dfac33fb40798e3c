// SPDX-License-Identifier: Apache-2.0
// What tests of the anchors of training run kernels on.
#ifndef SINTER_TEST_EXECUTE_TRAININGSTEP_H
#define SINTER_TEST_EXECUTE_TRAININGSTEP_H

#include "test/execute/KernelRunner.h"

namespace sinter::test {

/// A step of `rows` rows: documents of `sequence` rows begin at multiples of it and at `extra`.
struct Step {
  explicit Step(int64_t rows, int64_t sequence = 1 << 20, int64_t extra = -1)
      : positions(rows), tokens(rows), targets(rows) {
    for (int64_t i = 0, position = 0; i < rows; ++i, ++position) {
      if (i % sequence == 0 || i == extra)
        position = 0;
      positions[i] = static_cast<int32_t>(position);
      tokens[i] = static_cast<int32_t>(i * 7 % 23);
      targets[i] = static_cast<int32_t>(i % 4 == 3 ? -1 : i * 5 % 17);
    }
    step = {};
    step.rows = step.selected = rows;
    step.tokens = tokens.data();
    step.positions = positions.data();
    step.targets = targets.data();
    step.target_weight = 0.125f;
  }
  std::vector<int32_t> positions, tokens, targets;
  sinter_step step;
};

/// Runs tiles in three calls, as threads would.
inline void runInParts(const KernelRunner &runner, const char *name, const std::vector<void *> &buffers,
                       const sinter_step &step, int64_t tiles) {
  for (int64_t part = 0; part < 3; ++part)
    if (int64_t begin = tiles * part / 3, end = tiles * (part + 1) / 3; begin < end)
      runner.run(name, buffers, step, begin, end);
}

/// Of the tests with dropout.
inline constexpr uint64_t dropoutSeed = 0x123456789ABCDEFu, dropoutSite = 5;

} // namespace sinter::test

#endif // SINTER_TEST_EXECUTE_TRAININGSTEP_H
