// SPDX-License-Identifier: Apache-2.0
// Which of the instruction sets that a program was compiled for it runs.
#ifndef SINTER_RUNTIME_DEVICE_INSTRUCTIONSET_H
#define SINTER_RUNTIME_DEVICE_INSTRUCTIONSET_H

#include "runtime/Result.h"
#include <cstdint>

namespace sinter::device {

/// The instruction set to run: the one that the environment's SINTER_ISA names, else the best that this
/// machine and `compiled` (bit i: enum sinter_isa i) both have. Fails where there is none.
Result<int> chooseIsa(uint32_t compiled);

} // namespace sinter::device

#endif // SINTER_RUNTIME_DEVICE_INSTRUCTIONSET_H
