// SPDX-License-Identifier: Apache-2.0
// Runs of loads and multiply-adds of f32 (the inner loop of a product), executed as one instruction.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_MULTIPLYADDS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_MULTIPLYADDS_H

#include "runtime/device/emulator/Program.h"
#include <unordered_map>

namespace sinter::emulator {

/// How often the kernel's text names the registers of a slot; none for slots that are not registers.
using Mentions = std::unordered_map<uint32_t, uint32_t>;

/// Lets the first instruction of each long run execute all of it, where all lanes of a warp are there: the
/// same results, and counts, as one instruction after another.
void joinMultiplyAdds(Program &program, const Mentions &mentions);

/// Adds to `executed` what run number `run` executed, which is counted behind the program's instructions.
void countRun(const Program &program, size_t run, std::vector<uint64_t> &executed);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_MULTIPLYADDS_H
