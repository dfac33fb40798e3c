// SPDX-License-Identifier: Apache-2.0
// The command `sinter run-ptx`: launches one kernel of a PTX file in the emulator, with NumPy files as
// arguments.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_RUNPTX_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_RUNPTX_H

#include "runtime/Result.h"
#include <span>
#include <string>

namespace sinter::emulator {

/// How to call it.
extern const char *const runPtxUsage;

struct RunPtxOutcome {
  std::string text;  // for stdout
  std::string error; // for stderr
  int code = 0;      // 0, 1 for a failure or hazards that were found, 2 for wrong usage
};

/// Runs the command with the arguments after its name.
RunPtxOutcome runPtx(std::span<const std::string> arguments);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_RUNPTX_H
