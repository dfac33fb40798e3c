// SPDX-License-Identifier: Apache-2.0
// A trainer as a program: flags in, a run folder out.
#ifndef SINTER_RUNTIME_TRAINING_TRAINERPROGRAM_H
#define SINTER_RUNTIME_TRAINING_TRAINERPROGRAM_H

#include "runtime/training/RunFolder.h"
#include "runtime/training/TrainingOptions.h"

#include <functional>
#include <memory>

namespace sinter::training {

/// A step that a program can open when it knows its options.
struct StepProgram {
  std::string name; ///< of the model
  StepShape shape;
  std::span<const std::byte> tokenizer; ///< compiled tables, for texts while training; empty: none
  std::vector<ModelFile> files;         ///< config.json and, where the model brings them, the tokenizer's
  /// Takes the memory that the step needs; `note` gets what is worth knowing about it.
  std::function<Result<std::unique_ptr<TrainingStep>>(const TrainingOptions &options,
                                                      const std::function<void(std::string)> &note)>
      open;
};

/// Runs the command line. Gives the exit code: 0, 1 for a failure, 2 for wrong usage, 130 when interrupted.
int runTrainingProgram(const StepProgram &program, int argc, const char *const *argv);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_TRAINERPROGRAM_H
