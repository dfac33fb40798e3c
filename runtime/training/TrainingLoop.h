// SPDX-License-Identifier: Apache-2.0
// The loop of training: predict, measure, update, repeat; with evaluations, checkpoints, and everything a run
// leaves in its folder.
#ifndef SINTER_RUNTIME_TRAINING_TRAININGLOOP_H
#define SINTER_RUNTIME_TRAINING_TRAININGLOOP_H

#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/training/Checkpoint.h"
#include "runtime/training/MetricsFile.h"
#include "runtime/training/RunFolder.h"
#include "runtime/training/TrainingOptions.h"

#include <atomic>

namespace sinter::training {

/// Who is told what happens.
class TrainingView {
public:
  virtual ~TrainingView() = default;
  virtual void note(const std::string &text) = 0;
  /// Complete options, before the first step; `begin`: its number.
  virtual void started(const TrainingOptions &options, int64_t begin) = 0;
  /// `peakShare`: of the machine's floating-point operations a second.
  virtual void stepDone(const StepMetrics &metrics, double peakShare) = 0;
  virtual void evaluated(const Evaluation &evaluation) = 0;
  virtual void saved(const std::string &folder) = 0;
  /// A text that the model wrote after `step` updates.
  virtual void sampled(int64_t step, const std::string &text) {}
};

/// The flags of a run that can be resumed: those of its newest good checkpoint. None when it has no
/// checkpoint.
std::vector<std::pair<std::string, std::string>> flagsOfRun(const std::string &run);

/// How a run ended.
struct TrainingOutcome {
  bool interrupted = false;
  int64_t steps = 0; ///< done, in all
};

/// Trains as `options` (complete) say. `files`: config.json and, where the model brings them, the
/// tokenizer's. When `interrupt` becomes true the step is finished and saved. `tokenizer`: of the texts that
/// are sampled; null: none are. `tokenizerChecksum`: of the tables of the model's own tokenizer, as shards of
/// its tokens have it; 0: it has none.
Result<TrainingOutcome> train(TrainingStep &step, const TrainingOptions &options,
                              std::span<const ModelFile> files, TrainingView &view,
                              const std::atomic<bool> &interrupt, const Tokenizer *tokenizer = nullptr,
                              uint64_t tokenizerChecksum = 0);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_TRAININGLOOP_H
