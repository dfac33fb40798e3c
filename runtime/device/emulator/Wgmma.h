// SPDX-License-Identifier: Apache-2.0
// What the checks of registers in flight must know of wgmma.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_WGMMA_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_WGMMA_H

#include "runtime/device/emulator/Machine.h"

namespace sinter::emulator {

/// wgmma.mma_async, .fence, .commit_group or .wait_group: these may name registers in flight.
bool isWgmma(const Instruction &in);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_WGMMA_H
