// SPDX-License-Identifier: Apache-2.0
// Which device runs a model: the one that was asked for, or the best that is there.
#ifndef SINTER_RUNTIME_GENERATE_DEVICEOPENING_H
#define SINTER_RUNTIME_GENERATE_DEVICEOPENING_H

#include "runtime/device/Device.h"
#include <string>

namespace sinter {

enum class DeviceChoice { Auto, Cpu, Cuda, Emulator };

/// "cpu", "cuda" or "emulator"; false for anything else.
bool readDeviceChoice(std::string_view name, DeviceChoice &choice);

/// Opens the device. Auto is the GPU where the program has code for one and there are a driver and a GPU that
/// suit it, else the processor. `said` becomes a line about which it is and why, where there was a choice.
Result<std::unique_ptr<device::Device>> openDevice(const sinter_model &model, DeviceChoice choice,
                                                   device::DeviceOptions options, std::string &said);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_DEVICEOPENING_H
