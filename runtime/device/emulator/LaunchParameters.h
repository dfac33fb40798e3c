// SPDX-License-Identifier: Apache-2.0
// The parameters of a compiled kernel, laid out as PTX does.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_LAUNCHPARAMETERS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_LAUNCHPARAMETERS_H

#include "runtime/Result.h"
#include "runtime/abi.h"
#include "runtime/device/TensorMaps.h"

#include <cstdint>
#include <span>
#include <vector>

namespace sinter::emulator {

/// `addresses`: of the step, then of the buffers; maps of the buffers come behind them.
Result<std::vector<uint8_t>> launchParameters(std::span<const uint64_t> addresses,
                                              std::span<const sinter_tensor_map> maps,
                                              const device::MapSizes &known);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_LAUNCHPARAMETERS_H
