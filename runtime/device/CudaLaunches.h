// SPDX-License-Identifier: Apache-2.0
// Launches with their functions, blocks and arguments resolved once, to be started many times or captured as
// a graph.
#ifndef SINTER_RUNTIME_DEVICE_CUDALAUNCHES_H
#define SINTER_RUNTIME_DEVICE_CUDALAUNCHES_H

#include "runtime/device/CudaGpu.h"
#include <deque>
#include <functional>

namespace sinter::device::cuda {

class CudaLaunches {
public:
  CudaLaunches() = default;
  CudaLaunches(const CudaLaunches &) = delete;
  CudaLaunches &operator=(const CudaLaunches &) = delete;

  /// What a launch is given: the device address of its step, the largest step that comes (blocks and tensor
  /// maps are made for it), where its buffers are, and how many slots the cache has.
  struct Arguments {
    Address step;
    const sinter_step &largest;
    const std::function<Address(const sinter_buffer &)> &resolve;
    int64_t cacheSlots = 0;
  };
  /// Adds a launch behind the others. `launch` must outlive this.
  Result<void> add(const Gpu &gpu, Stream stream, const sinter_gpu_launch &launch,
                   const Arguments &arguments);

  size_t size() const { return launches.size(); }
  /// Starts one, on its stream.
  Result<void> start(const Driver &driver, size_t index) const;

private:
  struct Bound {
    const sinter_gpu_launch *launch;
    Function function;
    LaunchConfig config;
    LaunchAttribute cluster;
    std::deque<Address> arguments;
    std::deque<TensorMap> maps;
    std::vector<void *> parameters; ///< points at both, as the driver wants it
  };

  std::deque<Bound> launches; // stay where they are: configurations point into them
};

/// Captures what `record` does on `stream` as a graph that can be launched again and again.
Result<OwnedGraphExec> captureGraph(const std::shared_ptr<Driver> &driver, Stream stream,
                                    const std::function<Result<void>()> &record);

} // namespace sinter::device::cuda

#endif // SINTER_RUNTIME_DEVICE_CUDALAUNCHES_H
