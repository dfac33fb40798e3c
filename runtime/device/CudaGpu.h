// SPDX-License-Identifier: Apache-2.0
// A GPU, or the emulated one, opened through its driver, with the code of a program that it takes.
#ifndef SINTER_RUNTIME_DEVICE_CUDAGPU_H
#define SINTER_RUNTIME_DEVICE_CUDAGPU_H

#include "runtime/device/CudaMemory.h"
#include "runtime/device/CudaModule.h"
#include "runtime/device/Device.h"
#include <optional>

namespace sinter::device::cuda {

class Gpu {
public:
  /// Opens the first GPU that the driver gives (CUDA_VISIBLE_DEVICES chooses another), or the emulator, and
  /// loads the newest of `images` that it takes. Fails when there is no driver, no GPU, an older driver or an
  /// older GPU than the code needs.
  static Result<std::shared_ptr<Gpu>> open(std::span<const sinter_gpu_image> images,
                                           const DeviceOptions &options);
  ~Gpu();
  Gpu(const Gpu &) = delete;
  Gpu &operator=(const Gpu &) = delete;

  /// Lets the calling thread use the GPU: all that the driver does but for what opens a device is done in a
  /// thread's current context. A session or a trainer may be used by one thread after another.
  Result<void> makeCurrent() const;

  const std::shared_ptr<Driver> &driver() const { return opened; }
  const LoadedModule &module() const { return *code; }
  const std::string &name() const { return deviceName; }
  uint32_t architecture() const { return chosen; } ///< of the code
  const std::string &architectureText() const { return chosenText; }
  int multiprocessors() const { return multiprocessorCount; }
  /// 0 of what the driver does not know.
  int attribute(Attribute which) const {
    int value = 0;
    opened->deviceGetAttribute(&value, which, number);
    return value;
  }
  MemorySize memory() const;
  /// What its clocks allow.
  Limits limits() const;

  /// Memory for data that is in the host's, copied in pieces that are large enough to be fast and small
  /// enough to be given up at SIGINT.
  Result<DeviceBuffer> upload(const void *data, uint64_t bytes, const char *purpose) const;

private:
  Gpu() = default;
  std::shared_ptr<Driver> opened;
  Context context = nullptr;
  std::optional<LoadedModule> code;
  DeviceNumber number = 0;
  std::string deviceName, chosenText;
  int capability = 0, multiprocessorCount = 0;
  uint32_t chosen = 0;
};

} // namespace sinter::device::cuda

#endif // SINTER_RUNTIME_DEVICE_CUDAGPU_H
