// SPDX-License-Identifier: Apache-2.0
// Runs the micro-steps and updates of a compiled training step on this machine's processor. It holds
// parameters, gradients and the optimizer's state; data, schedules, checkpoints and what is shown are others'
// business.
#ifndef SINTER_RUNTIME_TRAINING_TRAINER_H
#define SINTER_RUNTIME_TRAINING_TRAINER_H

#include "runtime/Result.h"
#include "runtime/training/TrainingAbi.h"
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace sinter::training {

struct TrainerOptions {
  int threads = 0;                      ///< 0: one a physical core that this process may use
  std::string_view optimizer = "adamw"; ///< one of the trainer's
  double labelSmoothing = 0;            ///< share of a target that all tokens have
  double zLoss = 0;                     ///< weight of log(sum(exp(logits)))^2
};

/// batch * sequence rows, see TrainingAbi.h. Spans must live during the call only.
struct Batch {
  std::span<const int32_t> tokens;    ///< (rows) ids below the vocabulary's size
  std::span<const int32_t> positions; ///< (rows) in the document, 0 where one or a sequence begins
  std::span<const int32_t> targets;   ///< (rows) what follows, -1: does not count
};

/// What clips and moves the parameters; `t` counts updates from 1 (AdamW's bias corrections).
struct Hyperparameters {
  double learningRate = 3e-4;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weightDecay = 0.1;
  double clip = 1.0; ///< largest norm of all gradients; 0: none
  double muonRate = 0.02;
  int64_t t = 1;
};

/// Bytes of memory by what they are for, all of them known before the first step.
struct MemoryUse {
  uint64_t parameters, gradients, state, activations, scratch;
  uint64_t frozen; ///< parameters that are not trained, in the program's file
  uint64_t total() const { return parameters + gradients + state + activations + scratch + frozen; }
};

class Trainer {
public:
  virtual ~Trainer() = default;

  /// What `open` would take, without taking it.
  static Result<MemoryUse> memoryOf(const sinter_trainer &trainer, const TrainerOptions &options);

  /// Takes the memory and starts the threads. Parameters are the trainer's initial image, or zeros where it
  /// has none; gradients and state are zeros. Fails when the trainer is of another ABI, lacks the optimizer,
  /// or when memory, threads or the processor do not suffice.
  static Result<std::unique_ptr<Trainer>> open(const sinter_trainer &trainer, const TrainerOptions &options);

  /// Forward and backward, with label smoothing and z-loss as the options say. `counted`: targets that count
  /// in all micro-steps of this update; the gradients are those of the mean loss over them. The first
  /// micro-step of an update has `adds` false: gradients are overwritten. Gives the sum of the losses of the
  /// rows that count, in nats (not finite: an activation was not).
  virtual double microStep(const Batch &batch, int64_t counted, bool adds, uint64_t seed) = 0;

  /// The balance loss of the last micro-step, not weighted: experts * sum over experts of the share of
  /// choices times the mean probability (both over rows and layers). 0 for a step without.
  virtual double routerLoss() = 0;

  /// The global L2 norm of the gradients (what an update clips). Not finite: some gradient is not.
  virtual double gradientNorm() = 0;

  /// Clips by the norm given and moves the parameters.
  virtual void update(const Hyperparameters &hyperparameters, double gradientNorm) = 0;

  /// The sum of the cross-entropies alone; `losses` (rows, may be empty) gets that of each row, 0 where it
  /// does not count.
  virtual double evaluate(const Batch &batch, std::span<float> losses) = 0;

  /// Logits (vocabulary) after `row`, valid until the next call of anything. Targets of the batch are not
  /// read.
  virtual const float *logits(const Batch &batch, int64_t row) = 0;

  /// trainer.initial: image_floats numbers, or null.
  virtual const float *initial() const = 0;
  /// Images of trainer.trained_floats numbers.
  virtual std::span<float> parameters() = 0;
  virtual std::span<float> gradients() = 0;
  virtual std::span<float> state(uint64_t image) = 0; ///< image < stateImages()
  virtual uint64_t stateImages() const = 0;

  virtual int threads() const = 0;
  virtual const char *isaName() const = 0;    ///< "avx2", "avx512", "amx"
  virtual double measureFlopsPerSecond() = 0; ///< what this machine's multiply-adds reach on all threads
  virtual MemoryUse memory() const = 0;

  /// Seconds that each launch of micro-steps took on the first thread, added up (trainer.launch_count); null:
  /// none are taken.
  virtual void setLaunchTimes(double *seconds) = 0;
};

/// Element (row, column) of a parameter in an image, counted from the image's begin.
inline uint64_t placeOf(const sinter_parameter &parameter, int64_t row, int64_t column) {
  if (parameter.layout == SINTER_LAYOUT_PLAIN)
    return parameter.offset + uint64_t(row * parameter.columns + column);
  return parameter.offset + uint64_t((row / 16 * parameter.columns + column) * 16 + row % 16);
}

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_TRAINER_H
