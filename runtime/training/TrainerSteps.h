// SPDX-License-Identifier: Apache-2.0
// What the launches of a training step are given, the same numbers on every device.
#ifndef SINTER_RUNTIME_TRAINING_TRAINERSTEPS_H
#define SINTER_RUNTIME_TRAINING_TRAINERSTEPS_H

#include "runtime/training/Trainer.h"

namespace sinter::training {

/// What distinguishes the steps that launches of one micro-step are given.
struct StepKind {
  int64_t firstRow, rows;
  bool adds;
  auto operator<=>(const StepKind &) const = default;
};

/// 1 + the largest position.
int64_t keysOf(const Batch &batch);
/// The fields of a step but its pointers; `counted` and `adds` as in Trainer::microStep.
sinter_step stepOf(const StepKind &kind, int64_t keys, int64_t counted, bool adds, uint64_t seed);

/// The loss's part of what micro-steps are given, from the options; the rest is zero.
sinter_update lossSettings(const TrainerOptions &options);
/// The share of a micro-step in its update's balance loss.
float routerWeight(const Batch &batch, int64_t counted);
/// Sets what an update is given; the loss's part stays.
void setUpdate(sinter_update &update, const Hyperparameters &h, double gradientNorm);

double sumOf(std::span<const float> numbers);
/// Of (2 * experts) votes, see SINTER_SPACE_VOTES.
double balanceLoss(const sinter_trainer &trainer, std::span<const float> votes);

/// The number of an optimizer in the trainer's list; the error says which there are.
Result<size_t> findOptimizer(const sinter_trainer &trainer, std::string_view name);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_TRAINERSTEPS_H
