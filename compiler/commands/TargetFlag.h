// SPDX-License-Identifier: Apache-2.0
// --target: what code is made for, the same for every command.
#ifndef SINTER_COMPILER_COMMANDS_TARGETFLAG_H
#define SINTER_COMPILER_COMMANDS_TARGETFLAG_H

#include "passes/lowering/cpu/Target.h"
#include "passes/lowering/gpu/Target.h"
#include "runtime/Result.h"

#include "llvm/ADT/StringRef.h"

#include <vector>

namespace sinter {

/// Versions for processors, and architectures of GPUs to make code for as well (none: the processor alone).
struct Targets {
  std::vector<cpu::Isa> isas = {cpu::allIsas.begin(), cpu::allIsas.end()};
  std::vector<gpu::Architecture> gpus;
};

/// Reads "cpu", "cpu:native", "cpu:avx2", "cuda", "cuda:sm_80" and so on; an error names the flag and what it
/// may be.
Result<Targets> readTarget(llvm::StringRef text);

} // namespace sinter

#endif // SINTER_COMPILER_COMMANDS_TARGETFLAG_H
