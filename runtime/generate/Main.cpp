// SPDX-License-Identifier: Apache-2.0
// The entry of a compiled model. This file alone is compiled for any x86-64, so that a processor that is too
// old gets a sentence and not an illegal instruction; nothing that is compiled for more may run before its
// check.
#include "runtime/abi.h"
#include "runtime/device/CpuFeatures.h"
#include "runtime/generate/EntryPoint.h"
#include <unistd.h>

extern "C" const struct sinter_model sinter_model;

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

int main(int argc, char **argv) { return sinter::runExecutable(sinter_model, argc, argv); }
