// SPDX-License-Identifier: Apache-2.0
// Which of a program's GPU images a device takes, and that image loaded.
#ifndef SINTER_RUNTIME_DEVICE_CUDAMODULE_H
#define SINTER_RUNTIME_DEVICE_CUDAMODULE_H

#include "runtime/abi.h"
#include "runtime/device/CudaDriver.h"
#include <span>
#include <string>

namespace sinter::device::cuda {

/// "sm_80", "sm_90a": as CUDA calls an architecture of sinter_gpu_image.
std::string architectureName(uint32_t architecture);

/// The architecture whose code a device of compute capability `device` (90) is to run: the newest of the
/// images' that it takes. The error says what the program has and what the device is.
Result<uint32_t> chooseArchitecture(std::span<const sinter_gpu_image> images, int device,
                                    const std::string &deviceName);

/// The CUDA version whose driver knows the PTX version that the text asks for (".version 8.0": 12000).
Result<int> neededVersion(const char *ptx);

/// A loaded image. Unloaded with this.
class LoadedModule {
public:
  /// Loads the code of `architecture`: machine code when there is some and the device takes it, else the PTX,
  /// which the driver compiles (its log is part of the error).
  static Result<LoadedModule> load(std::shared_ptr<Driver> driver, std::span<const sinter_gpu_image> images,
                                   uint32_t architecture, int device);
  LoadedModule(LoadedModule &&other) noexcept
      : driver(std::move(other.driver)), module(std::exchange(other.module, nullptr)) {}
  ~LoadedModule();

  Result<Function> function(const char *name) const;

private:
  LoadedModule(std::shared_ptr<Driver> driver, Module module) : driver(std::move(driver)), module(module) {}

  std::shared_ptr<Driver> driver;
  Module module;
};

} // namespace sinter::device::cuda

#endif // SINTER_RUNTIME_DEVICE_CUDAMODULE_H
