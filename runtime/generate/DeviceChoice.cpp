// SPDX-License-Identifier: Apache-2.0
// --device: which device runs the model, and what is said about it.
#include "runtime/generate/Commands.h"
#include "runtime/generate/WeightsFile.h"

namespace sinter {

Result<std::unique_ptr<device::Device>> openDevice(const Setting &setting) {
  const DeviceChoice choice = setting.options.device;
  device::DeviceOptions options;
  options.threads = setting.options.threads;
  options.weightsPath = findWeightsFile(setting.options.weightsFile, setting.metadata.weightsFile);
  options.emulatorFolder = setting.metadata.emulatorFolder;
  std::string said;
  Result<std::unique_ptr<device::Device>> device = openDevice(setting.model, choice, options, said);
  if (!said.empty())
    remark("{}\n", said);
  if (!device && (choice == DeviceChoice::Cuda || choice == DeviceChoice::Emulator))
    return fail("--device {}: {}", choice == DeviceChoice::Cuda ? "cuda" : "emulator", device.error().message);
  return device;
}

} // namespace sinter
