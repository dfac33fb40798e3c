// SPDX-License-Identifier: Apache-2.0
// sinter_open, which every use of a library begins with. Like Main.cpp it is compiled for any x86-64, so that
// a processor that is too old gets a message and not an illegal instruction.
#include "runtime/device/CpuFeatures.h"
#include "runtime/generate/CApi.h"
#include <cstring>

/// What sinter_open does on a processor that the rest is compiled for (CApi.cpp).
sinter_session *sinter_open_checked(const sinter_open_options *options, char **error);

sinter_session *sinter_open(const sinter_open_options *options, char **error) {
  if (sinter::device::detectIsa() >= 0)
    return sinter_open_checked(options, error);
  if (error)
    *error =
        strdup("this model needs a processor with AVX2, FMA, F16C and BMI (x86-64-v3); this one lacks them");
  return nullptr;
}
