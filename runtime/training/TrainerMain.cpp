// SPDX-License-Identifier: Apache-2.0
// What the `main` that the compiler makes for a training step calls.
#include "runtime/training/Probe.h"

#include <cstdio>

extern "C" int sinter_train_main(const struct sinter_trainer *trainer, int argc, char **argv) {
  if (sinter::training::isProbe(argc, argv))
    return sinter::training::runProbe(*trainer, argc, argv);
  std::fprintf(stderr, "error: expected --probe DIR\n");
  return 2;
}
