// SPDX-License-Identifier: Apache-2.0
// Instructions that all lanes of a warp execute together.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_WARPS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_WARPS_H

#include "runtime/device/emulator/Machine.h"

namespace sinter::emulator {

/// Whether all living lanes of `needed` are active. If not, the active ones wait here for the others (the
/// instruction is executed again when they have come), and the caller returns at once.
bool converged(Warp &warp, const Instruction &in, Mask needed);

/// The same for the member masks in a register: narrows the active lanes to those of one mask, which have all
/// come. A lane that its own mask leaves out is a fault.
bool members(Warp &warp, const Instruction &in, uint32_t slot, Mask &mask);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_WARPS_H
