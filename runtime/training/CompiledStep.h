// SPDX-License-Identifier: Apache-2.0
// A compiled training step as the loop wants it: parameters under the names of Hugging Face's tensors.
#ifndef SINTER_RUNTIME_TRAINING_COMPILEDSTEP_H
#define SINTER_RUNTIME_TRAINING_COMPILEDSTEP_H

#include "runtime/training/Trainer.h"
#include "runtime/training/TrainingStep.h"

namespace sinter::training {

StepShape shapeOf(const sinter_trainer &trainer);

/// `opened` is a Trainer of `trainer`, opened with `options`; `trainer` must outlive the result.
std::unique_ptr<TrainingStep> makeCompiledStep(const sinter_trainer &trainer, std::unique_ptr<Trainer> opened,
                                               const TrainerOptions &options);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_COMPILEDSTEP_H
