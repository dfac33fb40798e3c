// SPDX-License-Identifier: Apache-2.0
// What the `main` that the compiler makes for a training step calls. This file alone is compiled for any
// x86-64, as runtime/generate/Main.cpp.
#include "runtime/device/ProcessorCheck.h"
#include "runtime/training/CompiledProgram.h"
#include "runtime/training/Probe.h"

extern "C" int sinter_train_main(const struct sinter_trainer *trainer, int argc, char **argv) {
  if (sinter::training::isProbe(argc, argv))
    return sinter::training::runProbe(*trainer, argc, argv);
  return sinter::training::runCompiledTrainer(*trainer, argc, argv);
}
