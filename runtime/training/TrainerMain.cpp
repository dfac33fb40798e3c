// SPDX-License-Identifier: Apache-2.0
// What the `main` that the compiler makes for a training step calls. This file alone is compiled for any
// x86-64, as runtime/generate/Main.cpp.
#include "runtime/device/CpuFeatures.h"
#include "runtime/training/CompiledProgram.h"
#include "runtime/training/Probe.h"
#include <unistd.h>

namespace {

/// Runs before the constructors of all other files.
__attribute__((constructor(101))) void checkProcessor() {
  static const char message[] =
      "error: this program needs a processor with AVX2, FMA, F16C and BMI (x86-64-v3); "
      "this one lacks them\n";
  if (sinter::device::detectIsa() >= 0)
    return;
  const ssize_t ignored = write(STDERR_FILENO, message, sizeof message - 1);
  (void)ignored;
  _exit(1);
}

} // namespace

extern "C" int sinter_train_main(const struct sinter_trainer *trainer, int argc, char **argv) {
  if (sinter::training::isProbe(argc, argv))
    return sinter::training::runProbe(*trainer, argc, argv);
  return sinter::training::runCompiledTrainer(*trainer, argc, argv);
}
