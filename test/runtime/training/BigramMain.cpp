// SPDX-License-Identifier: Apache-2.0
// The bigram model's trainer as a program, for tests of what processes do.
#include "test/runtime/training/BigramStep.h"

int main(int argc, char **argv) {
  return sinter::training::runTrainingProgram(sinter::training::bigramProgram({}), argc, argv);
}
