// SPDX-License-Identifier: Apache-2.0
// LLVM's optimisations on the kernels of a target.
#ifndef SINTER_COMPILER_OPTIMISE_H
#define SINTER_COMPILER_OPTIMISE_H

#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

namespace sinter {

/// Gives the module the machine's layout and runs `passes`, in LLVM's words, without loops being unrolled,
/// vectorised or interleaved: the emitters have done that.
void optimise(llvm::Module &module, llvm::TargetMachine &machine, llvm::StringRef passes);

} // namespace sinter

#endif // SINTER_COMPILER_OPTIMISE_H
