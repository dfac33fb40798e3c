// SPDX-License-Identifier: Apache-2.0
// The GPU first, where there may be one.
#include "runtime/generate/DeviceOpening.h"
#include <utility>

namespace sinter {

bool readDeviceChoice(std::string_view name, DeviceChoice &choice) {
  constexpr std::pair<std::string_view, DeviceChoice> choices[] = {
      {"cuda", DeviceChoice::Cuda}, {"cpu", DeviceChoice::Cpu}, {"emulator", DeviceChoice::Emulator}};
  for (const auto &[each, value] : choices)
    if (name == each) {
      choice = value;
      return true;
    }
  return false;
}

Result<std::unique_ptr<device::Device>> openDevice(const sinter_model &model, DeviceChoice choice,
                                                   device::DeviceOptions options, std::string &said) {
  options.emulated = choice == DeviceChoice::Emulator;
  const device::CudaOpener openCuda = device::cudaOpener();
  if (choice == DeviceChoice::Cpu || (choice == DeviceChoice::Auto && !openCuda))
    return device::openCpu(model, options);
  const char *const wanted = options.emulated ? "emulator" : "cuda";
  if (!openCuda)
    return fail("this program was compiled for the processor alone (sinter compile --target=cuda makes one "
                "for GPUs too)");
  Result<std::unique_ptr<device::Device>> gpu = openCuda(model, options);
  if (gpu)
    said = fmt::format("device: {}, {} ({})", wanted, (*gpu)->name(), (*gpu)->isaName());
  if (gpu || choice != DeviceChoice::Auto)
    return gpu;
  said = fmt::format("device: cpu, because {}", gpu.error().message);
  return device::openCpu(model, options);
}

} // namespace sinter
