// SPDX-License-Identifier: Apache-2.0
// A decode step as one launch: the table of its tasks in device memory, and the kernel that walks it.
#ifndef SINTER_RUNTIME_DEVICE_CUDAPERSISTENT_H
#define SINTER_RUNTIME_DEVICE_CUDAPERSISTENT_H

#include "runtime/abi.h"
#include "runtime/device/CudaGpu.h"
#include <array>
#include <span>

namespace sinter::device::cuda {

class PersistentStep {
public:
  /// What the kernel works on, fixed as long as the session lives.
  struct Places {
    Address step, counters;
    std::span<const Address> buffers; ///< of all launches, one after another
  };

  /// Bytes of a step's counters, which are 0 when the kernel begins.
  static uint64_t counterBytes(const sinter_gpu_persistent &program) {
    return program.task_count * SINTER_GPU_COUNTER_BYTES;
  }

  /// Uploads the table, and plans a block a multiprocessor, or as many as the largest task has tiles in the
  /// step `largest`. Fails when the GPU cannot promise that, or the kernel does not fit on it.
  Result<void> prepare(const Gpu &gpu, const sinter_gpu_persistent &program, const Places &places,
                       const sinter_step &largest, Stream stream);

  explicit operator bool() const { return function; }
  /// Launches the first `count` tasks.
  Result<void> launch(uint64_t count);

private:
  Result<void> upload(const sinter_gpu_persistent &program, const Places &places, Stream stream);

  std::shared_ptr<Driver> driver;
  Function function = nullptr;
  DeviceBuffer table;
  LaunchConfig config{};
  LaunchAttribute cooperative{};
  std::array<Address, 5> addresses{}; // step, tasks, waits, addresses, counters
};

} // namespace sinter::device::cuda

#endif // SINTER_RUNTIME_DEVICE_CUDAPERSISTENT_H
