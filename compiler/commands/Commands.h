// SPDX-License-Identifier: Apache-2.0
// The commands of `sinter`. Each parses its own arguments (argv[0] is "sinter compile", ...) and gives the
// exit code: 0, 1 for a failure that was reported, 2 for wrong usage.
#ifndef SINTER_COMPILER_COMMANDS_COMMANDS_H
#define SINTER_COMPILER_COMMANDS_COMMANDS_H

#include "llvm/ADT/ArrayRef.h"

namespace sinter {

/// What every command gets: its arguments, and the program's own path for finding the link tree.
struct Invocation {
  const char *program;                    // argv[0] of the process
  llvm::ArrayRef<const char *> arguments; // [0] is the command's name to show
};

/// The invocation of `sinter COMMAND VERB ...` without its verb; `name` is shown, and it and the result's
/// arguments live until the next call.
Invocation dropVerb(const Invocation &invocation, const char *name);

int compileCommand(const Invocation &invocation);
int exportCommand(const Invocation &invocation);
int infoCommand(const Invocation &invocation);
int kernelCommand(const Invocation &invocation);
int kernelsCommand(const Invocation &invocation);
int tokenizerCommand(const Invocation &invocation);
int dataCommand(const Invocation &invocation);
int trainCommand(const Invocation &invocation);
int runPtxCommand(const Invocation &invocation);

/// Parses flags declared as llvm::cl options; prints what is wrong to stderr and gives false.
bool parseFlags(const Invocation &invocation, llvm::StringRef overview);

} // namespace sinter

#endif // SINTER_COMPILER_COMMANDS_COMMANDS_H
