// SPDX-License-Identifier: Apache-2.0
// The smallest real model: the next token's logits are head * embedding[token] + bias. Its gradients are
// written out, so that the loop can be tested on training that works, without a compiler.
#ifndef SINTER_TEST_RUNTIME_TRAINING_BIGRAMSTEP_H
#define SINTER_TEST_RUNTIME_TRAINING_BIGRAMSTEP_H

#include "runtime/training/TrainerProgram.h"

#include <memory>

namespace sinter::training {

struct BigramShape {
  int64_t batch = 4, length = 8, vocabulary = 32, width = 6;
  std::string optimizer = "adamw";
  bool averages = false;
};

std::unique_ptr<TrainingStep> makeBigramStep(const BigramShape &shape);

/// The program `bigram-trainer`. What it does besides training is asked for by environment variables:
///   BIGRAM_BAD_STEP=N   the gradient of the head is NaN in micro-step N (counted by the process)
///   BIGRAM_BIG_STEP=N   the loss of micro-step N is 1000 nats a token
///   BIGRAM_DELAY_US=N   a micro-step takes that much longer
///   BIGRAM_BAD_BATCH=N  evaluating batch N fails (counted by the process)
StepProgram bigramProgram(const BigramShape &shape);

} // namespace sinter::training

#endif // SINTER_TEST_RUNTIME_TRAINING_BIGRAMSTEP_H
