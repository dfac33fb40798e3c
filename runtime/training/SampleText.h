// SPDX-License-Identifier: Apache-2.0
// Text that a model writes while it is trained.
#ifndef SINTER_RUNTIME_TRAINING_SAMPLETEXT_H
#define SINTER_RUNTIME_TRAINING_SAMPLETEXT_H

#include "runtime/tokenizer/Tokenizer.h"
#include "runtime/training/TrainingStep.h"

namespace sinter::training {

/// `prompt` and what the step's weights go on with, at most `tokens` more and never beyond a sequence.
/// Without a prompt a text begins as the tokenizer begins one. `seed` decides every draw (temperature 0.8, of
/// the 40 best). Fails when the prompt leaves no room or a logit is not a number.
Result<std::string> sampleText(TrainingStep &step, const Tokenizer &tokenizer, const std::string &prompt,
                               int64_t tokens, uint64_t seed);

} // namespace sinter::training

#endif // SINTER_RUNTIME_TRAINING_SAMPLETEXT_H
