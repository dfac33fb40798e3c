// SPDX-License-Identifier: Apache-2.0
// metrics.jsonl: an object a step, written as the run goes, read for the report and cut when a run goes on
// from an earlier step.
#ifndef SINTER_RUNTIME_TRAINING_METRICSFILE_H
#define SINTER_RUNTIME_TRAINING_METRICSFILE_H

#include "runtime/Result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sinter::training {

struct StepMetrics {
  int64_t step; ///< from 0
  double loss;  ///< nats a token before the update, over all tokens of the step
  double norm;  ///< global, of the gradient before clipping
  double rate;  ///< learning rate
  double ms;    ///< the step took
  double tokensPerSecond;
  std::optional<double> routerLoss = std::nullopt;
};

struct Evaluation {
  int64_t step; ///< updates done before
  double loss;  ///< nats a token
  std::optional<double> bitsPerByte;
};

struct Metrics {
  std::vector<StepMetrics> steps;
  std::vector<Evaluation> evaluations;
};

/// One line each, with its end.
std::string metricsLine(const StepMetrics &metrics);
std::string metricsLine(const Evaluation &evaluation);

/// Cuts the file to its lines about steps before `step` and evaluations up to it. A line that a kill cut
/// short goes with what is behind it. A missing file stays missing.
Result<> truncateMetrics(const std::string &path, int64_t step);

/// All lines of a file; an incomplete last one is left out.
Result<Metrics> readMetrics(const std::string &path);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_METRICSFILE_H
