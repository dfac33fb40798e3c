// SPDX-License-Identifier: Apache-2.0
// The program that an executable is: arguments in, exit code out.
#ifndef SINTER_RUNTIME_GENERATE_PROGRAM_H
#define SINTER_RUNTIME_GENERATE_PROGRAM_H

#include "runtime/generate/Codec.h"

namespace sinter {

/// Runs `model` as the arguments say. Returns 0, 1 after a failure, 2 after a usage error; messages are on
/// standard error.
int runProgram(const sinter_model &model, CodecOpener openCodec, int argc, const char *const *argv);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_PROGRAM_H
