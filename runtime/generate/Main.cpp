// SPDX-License-Identifier: Apache-2.0
// The entry of a compiled model. This file alone is compiled for any x86-64, so that a processor that is too
// old gets a sentence and not an illegal instruction; nothing that is compiled for more may run before its
// check.
#include "runtime/abi.h"
#include "runtime/device/ProcessorCheck.h"
#include "runtime/generate/EntryPoint.h"

extern "C" const struct sinter_model sinter_model;

int main(int argc, char **argv) { return sinter::runExecutable(sinter_model, argc, argv); }
