// SPDX-License-Identifier: Apache-2.0
// What others must know of wgmma.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_WGMMA_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_WGMMA_H

#include "runtime/device/emulator/Machine.h"

namespace sinter::emulator {

/// wgmma.mma_async, .fence, .commit_group or .wait_group: these may name registers in flight.
bool isWgmma(const Instruction &in);

/// wgmma.mma_async; its list holds the slots of the accumulators and of the fragments of A.
bool isWgmmaProduct(const Instruction &in);

/// All lanes of a warp have exited. The last warp of a warpgroup compares what its four have executed (PTX
/// ISA 9.7.15: .aligned); a difference is a fault.
void warpgroupExited(const Warp &warp);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_WGMMA_H
