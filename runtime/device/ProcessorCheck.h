// SPDX-License-Identifier: Apache-2.0
// A processor that is too old gets a sentence and not an illegal instruction. For the file of a program's
// `main` alone, which is compiled for any x86-64; nothing that is compiled for more may run before the check.
#ifndef SINTER_RUNTIME_DEVICE_PROCESSORCHECK_H
#define SINTER_RUNTIME_DEVICE_PROCESSORCHECK_H

#include "runtime/device/CpuFeatures.h"
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

#endif // SINTER_RUNTIME_DEVICE_PROCESSORCHECK_H
