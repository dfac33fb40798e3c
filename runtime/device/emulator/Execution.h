// SPDX-License-Identifier: Apache-2.0
// Runs a launch on the CPU's cores.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_EXECUTION_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_EXECUTION_H

#include "runtime/Result.h"
#include "runtime/device/emulator/Machine.h"

namespace sinter::emulator {

/// Checks grid, block, cluster and shared memory against the limits of Hopper and of the kernel's own
/// directives.
Result<> checkLaunch(const Launch &launch);

/// Runs all blocks. An error is the first fault of a kernel: what it did, which thread, which line.
Result<KernelCounters> execute(Launch &launch);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_EXECUTION_H
