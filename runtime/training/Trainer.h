// SPDX-License-Identifier: Apache-2.0
// Runs the micro-steps and updates of a compiled training step: one interface, one file a device. It holds
// parameters, gradients and the optimizer's state; data, schedules, checkpoints and what is shown are others'
// business.
#ifndef SINTER_RUNTIME_TRAINING_TRAINER_H
#define SINTER_RUNTIME_TRAINING_TRAINER_H

#include "runtime/Result.h"
#include "runtime/generate/DeviceOpening.h"
#include "runtime/training/TrainingAbi.h"
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace sinter::training {

struct TrainerOptions {
  int threads = 0;                      ///< 0: one a physical core that this process may use
  std::string_view optimizer = "adamw"; ///< one of the trainer's
  double labelSmoothing = 0;            ///< share of a target that all tokens have
  double zLoss = 0;                     ///< weight of log(sum(exp(logits)))^2
  DeviceChoice device = DeviceChoice::Auto;
  bool averages = false; ///< keeps an average of the parameters, which updates move
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
  double averageShare = 0; ///< of the moved parameters in their average, where one is kept
  int64_t t = 1;
};

/// Bytes of memory by what they are for, all of them known before the first step.
struct MemoryUse {
  uint64_t parameters, gradients, state, activations, scratch;
  uint64_t frozen;  ///< parameters that are not trained, in the program's file
  uint64_t average; ///< of the parameters; 0: none is kept
  uint64_t total() const { return parameters + gradients + state + activations + scratch + frozen + average; }
};

/// Numbers are 0 or null after a failure, which only devices have that are not the processor, and have from
/// then on.
class Trainer {
public:
  virtual ~Trainer() = default;

  /// Forward and backward, with label smoothing and z-loss as the options say. `counted`: targets that count
  /// in all micro-steps of this update; the gradients are those of the mean loss over them. The first
  /// micro-step of an update has `adds` false: gradients are overwritten. Gives the sum of the losses of the
  /// rows that count, in nats (not finite: an activation was not).
  [[nodiscard]] virtual Result<double> microStep(const Batch &batch, int64_t counted, bool adds,
                                                 uint64_t seed) = 0;

  /// The balance loss of the last micro-step, not weighted: experts * sum over experts of the share of
  /// choices times the mean probability (both over rows and layers). 0 for a step without.
  virtual double routerLoss() = 0;

  /// The global L2 norm of the gradients (what an update clips). Not finite: some gradient is not.
  [[nodiscard]] virtual Result<double> gradientNorm() = 0;

  /// Clips by the norm given and moves the parameters, then their average.
  [[nodiscard]] virtual Result<> update(const Hyperparameters &hyperparameters, double gradientNorm) = 0;

  /// Parameters and their average change places; only with options.averages.
  [[nodiscard]] virtual Result<> exchangeAverage() = 0;

  /// The sum of the cross-entropies alone.
  [[nodiscard]] virtual Result<double> evaluate(const Batch &batch) = 0;

  /// Logits (vocabulary) after `row`, valid until the next call of anything. Targets of the batch are not
  /// read.
  [[nodiscard]] virtual Result<const float *> logits(const Batch &batch, int64_t row) = 0;

  /// trainer.initial: image_floats numbers, or null.
  virtual const float *initial() const = 0;
  /// Images of trainer.trained_floats numbers: 0 is the parameters, those behind it are the optimizer's
  /// state, the last one is the average where one is kept. On the processor they are what the step reads and
  /// writes. Other devices have theirs, which `fetch` copies here and `store` takes from here.
  virtual std::span<float> image(uint64_t number) = 0;
  virtual uint64_t images() const = 0;
  [[nodiscard]] virtual Result<> fetch(uint64_t) { return {}; }
  [[nodiscard]] virtual Result<> store(uint64_t) { return {}; }
  /// The gradients as they are now, in the host's memory.
  [[nodiscard]] virtual Result<std::span<const float>> gradients() = 0;

  virtual std::string runsOn() const = 0;     ///< "kernels for avx2, 2 threads"
  virtual double measureFlopsPerSecond() = 0; ///< what the device's multiply-adds reach at best
  virtual MemoryUse memory() const = 0;

  /// Seconds that each launch of micro-steps took (of the processor on the first thread), added up
  /// (trainer.launch_count); null: none are taken.
  virtual void setLaunchTimes(double *seconds) = 0;
};

/// Takes the memory and starts the threads. Parameters are the trainer's initial image, or zeros where it has
/// none; gradients and state are zeros. Fails when the trainer is of another ABI, lacks the optimizer, or
/// when memory, threads or the processor do not suffice.
Result<std::unique_ptr<Trainer>> openCpuTrainer(const sinter_trainer &trainer, const TrainerOptions &options);

/// The same on a GPU, or the emulated one (options.device). Fails when the trainer has no code for GPUs, when
/// there is no driver, no GPU, an older driver or GPU than the code needs, and when its memory does not
/// suffice.
using CudaTrainerOpener = Result<std::unique_ptr<Trainer>> (*)(const sinter_trainer &trainer,
                                                               const TrainerOptions &options);

/// Opens it on the device of the options. Auto is the GPU where the trainer has code for one and there are a
/// driver and a GPU that suit it, else the processor. `said` becomes a line about which it is and why, where
/// there was a choice.
Result<std::unique_ptr<Trainer>> openTrainer(const sinter_trainer &trainer, const TrainerOptions &options,
                                             std::string &said);

/// Element (row, column) of a parameter in an image, counted from the image's begin.
inline uint64_t placeOf(const sinter_parameter &parameter, int64_t row, int64_t column) {
  if (parameter.layout == SINTER_LAYOUT_PLAIN)
    return parameter.offset + uint64_t(row * parameter.columns + column);
  return parameter.offset + uint64_t((row / 16 * parameter.columns + column) * 16 + row % 16);
}

} // namespace sinter::training

/// There only in programs that are linked with it, as sinter_cuda_opener (runtime/device/Device.h).
extern "C" const sinter::training::CudaTrainerOpener sinter_cuda_trainer_opener __attribute__((weak));

#endif // SINTER_RUNTIME_TRAINING_TRAINER_H
