// SPDX-License-Identifier: Apache-2.0
// --device: which device runs the model, and what is said about it.
#include "runtime/generate/Commands.h"
#include "runtime/generate/WeightsFile.h"

namespace sinter {

Result<std::unique_ptr<device::Device>> openDevice(const Setting &setting) {
  const DeviceChoice choice = setting.options.device;
  device::DeviceOptions options = {setting.options.threads,
                                   findWeightsFile(setting.options.weightsFile, setting.metadata.weightsFile),
                                   choice == DeviceChoice::Emulator, setting.metadata.emulatorFolder};
  const device::CudaOpener openCuda = device::cudaOpener();
  if (choice == DeviceChoice::Cpu || (choice == DeviceChoice::Auto && !openCuda))
    return device::openCpu(setting.model, options);
  const char *const wanted = choice == DeviceChoice::Emulator ? "emulator" : "cuda";
  if (!openCuda)
    return fail("--device {}: this program was compiled for the processor alone (sinter compile "
                "--target=cuda makes one "
                "for GPUs too)",
                wanted);
  Result<std::unique_ptr<device::Device>> gpu = openCuda(setting.model, options);
  if (gpu) {
    remark("device: {}, {} ({})\n", wanted, (*gpu)->name(), (*gpu)->isaName());
    return gpu;
  }
  if (choice != DeviceChoice::Auto)
    return fail("--device {}: {}", wanted, gpu.error().message);
  remark("device: cpu, because {}\n", gpu.error().message);
  return device::openCpu(setting.model, options);
}

} // namespace sinter
