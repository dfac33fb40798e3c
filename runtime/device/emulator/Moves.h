// SPDX-License-Identifier: Apache-2.0
// The plain copy of a register.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_MOVES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_MOVES_H

#include "runtime/device/emulator/Machine.h"

namespace sinter::emulator {

/// d = a, of 1, 2, 4 or 8 bytes a lane. (The checks of wgmma know a copy by its handler.)
Handlers copyOf(unsigned bytes);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_MOVES_H
