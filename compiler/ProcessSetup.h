// SPDX-License-Identifier: Apache-2.0
// How the process of a tool that writes files ends when it cannot go on.
#ifndef SINTER_COMPILER_PROCESSSETUP_H
#define SINTER_COMPILER_PROCESSSETUP_H

namespace sinter {

/// For the first lines of a main, after llvm::InitLLVM. From then on a signal, memory or threads that the
/// system does not give, and errors that LLVM holds for fatal end the process with a message (exit code 1, or
/// the signal), and no half-written file stays behind. A file that may not grow is an error of the function
/// that writes.
void setUpProcess();

} // namespace sinter

#endif // SINTER_COMPILER_PROCESSSETUP_H
