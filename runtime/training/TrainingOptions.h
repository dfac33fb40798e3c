// SPDX-License-Identifier: Apache-2.0
// The command line of training, the same for `sinter train` and for a compiled trainer.
#ifndef SINTER_RUNTIME_TRAINING_TRAININGOPTIONS_H
#define SINTER_RUNTIME_TRAINING_TRAININGOPTIONS_H

#include "runtime/training/Schedule.h"
#include "runtime/training/TrainingStep.h"

namespace sinter::training {

struct TrainingOptions {
  bool help = false, version = false;

  std::string data, validation;     ///< --data, --val-data
  std::string output;               ///< -o
  std::string tokenizer;            ///< --tokenizer: folder whose tokenizer goes along
  std::vector<std::string> compare; ///< --compare: other runs for the report
  bool resume = false;

  int64_t batch = 0, length = 0; ///< 0: what the step was compiled for
  bool recompute = false;
  std::string device = "auto"; ///< --device: or cpu, cuda, emulator
  int64_t steps = 1000, accumulate = 1;
  std::string optimizer = "adamw", dtype = "auto";
  std::string dropout; ///< "config" or a share as {} prints it; empty: what the step was compiled for
  ScheduleKind schedule = ScheduleKind::Cosine;
  double rate = 3e-4, leastRate = -1; ///< --min-lr; negative: a tenth of --lr
  int64_t warmup = -1;                ///< negative: a hundredth of the steps
  double decayShare = 0.2;
  double weightDecay = 0.1, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double clip = 1;        ///< 0: none
  double muonRate = 0.02; ///< --muon-lr
  double average = 0;     ///< --ema; 0: none
  double labelSmoothing = 0, zLoss = 0;
  double routerLoss = -1;     ///< --router-aux-loss; negative: what the step was compiled for
  int64_t adapterRank = 0;    ///< --lora; 0: what the step was compiled for
  double adapterAlpha = 0;    ///< --lora-alpha; 0: the same
  std::string adapterTargets; ///< --lora-targets; empty: the same
  uint64_t seed = 1;
  bool shuffled = true, crossDocuments = false;

  int64_t evaluateEvery = -1, evaluationBatches = 50; ///< negative: a tenth of the steps; 0: never
  int64_t saveEvery = -1; ///< negative: a tenth of the steps, 100 at least; 0: at the end only
  int64_t sampleEvery = -1, sampleTokens = 64; ///< negative: a tenth of the steps; 0: never
  std::string samplePrompt;
  int64_t keep = 3;
  std::string saveType = "f32";
  bool skipBadSteps = false; ///< --on-nan=skip
  double spike = 3;          ///< nats above the recent mean that are a spike; 0: none is
  int threads = 0;           ///< 0: all cores
  bool plain = false;        ///< --progress=lines

  Schedule scheduleOf() const { return {schedule, rate, leastRate, steps, warmup, decayShare}; }
};

/// What a command line said, and what it left open.
struct ParsedOptions {
  TrainingOptions options;
  std::string helpText; ///< of --help
};

/// Parses the arguments from argv[1] on over `base` (a run that is resumed brings its own). A usage error is
/// an Error whose message names the flag. `model`, where it is not null, gets the word that is no flag (of
/// argv, so that it can be found there again).
Result<ParsedOptions> parseTrainingOptions(int argc, const char *const *argv, const std::string &description,
                                           const TrainingOptions &base = {},
                                           std::string_view *model = nullptr);

/// What adapters are multiplied by, times their rank, where nothing says (--lora-alpha).
constexpr double usualAdapterAlpha(int64_t rank) { return 2 * double(rank); }

/// The names in a list of --lora-targets, commas between them; none for "all-linear". An error where a name
/// is empty.
Result<std::vector<std::string>> parseAdapterTargets(std::string_view list);

/// "config" or a share of activations, in one spelling; else an error.
Result<std::string> parseDropout(std::string_view text);

/// Sets what is open from the rest and from `shape`, and checks what flags say about each other and about it.
Result<> completeOptions(TrainingOptions &options, const StepShape &shape);

/// Every flag of complete options with its value, as the command line would say it: what decides the result
/// (`true` where the value may not change when a run goes on), then the rest.
struct FlagValue {
  std::string name, value;
  bool fixed;
};
std::vector<FlagValue> flagValues(const TrainingOptions &options);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_TRAININGOPTIONS_H
