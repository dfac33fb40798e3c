// SPDX-License-Identifier: Apache-2.0
// sinter run-ptx: one kernel of a PTX file in the emulator.
#include "runtime/device/emulator/RunPtx.h"
#include "compiler/commands/Commands.h"

#include "llvm/Support/raw_ostream.h"

#include <string>
#include <vector>

int sinter::runPtxCommand(const Invocation &invocation) {
  const std::vector<std::string> arguments(invocation.arguments.begin() + 1, invocation.arguments.end());
  const emulator::RunPtxOutcome outcome = emulator::runPtx(arguments);
  llvm::outs() << outcome.text;
  llvm::errs() << outcome.error;
  return outcome.code;
}
