// SPDX-License-Identifier: Apache-2.0
// What a person sees of a run: on a terminal a bar with the time left, elsewhere a line a step.
#ifndef SINTER_RUNTIME_TRAINING_TRAININGPROGRESS_H
#define SINTER_RUNTIME_TRAINING_TRAININGPROGRESS_H

#include "runtime/training/TrainingLoop.h"

#include <chrono>
#include <functional>

namespace sinter::training {

class TrainingProgress : public TrainingView {
public:
  /// `write` gets texts with their line ends; `columns` of a terminal, 0 where there is none.
  TrainingProgress(std::function<void(std::string_view)> write, int columns)
      : write(std::move(write)), columns(columns) {}
  ~TrainingProgress() override { clear(); }

  void note(const std::string &text) override;
  void started(const TrainingOptions &options, int64_t begin) override;
  void stepDone(const StepMetrics &metrics, double peakShare) override;
  void evaluated(const Evaluation &evaluation) override;
  void saved(const std::string &folder) override;
  void sampled(int64_t step, const std::string &text) override;
  /// Takes the bar away.
  void clear();

private:
  std::function<void(std::string_view)> write;
  int columns;
  int64_t steps = 0;
  double smoothedMs = 0;
  bool hasBar = false;
  std::string bar;
};

/// 75 as "1m15s".
std::string durationText(double seconds);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_TRAININGPROGRESS_H
