// SPDX-License-Identifier: Apache-2.0
// The command line of a run: with --resume over the flags that the run in its folder has.
#ifndef SINTER_RUNTIME_TRAINING_RUNOPTIONS_H
#define SINTER_RUNTIME_TRAINING_RUNOPTIONS_H

#include "runtime/training/TrainingOptions.h"

namespace sinter::training {

/// Why a command line was refused, and what the program exits with: 2 for wrong usage, 1 for a run whose own
/// flags cannot be read.
struct RefusedOptions {
  Error error;
  int code;
};

/// parseTrainingOptions of a command line, which with --resume is read over the flags of the last checkpoint
/// in the folder that it names.
tl::expected<ParsedOptions, RefusedOptions> parseRunOptions(int argc, const char *const *argv,
                                                            const std::string &description,
                                                            std::string_view *model = nullptr);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_RUNOPTIONS_H
