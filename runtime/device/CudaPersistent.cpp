// SPDX-License-Identifier: Apache-2.0
// One allocation holds the tasks, what they wait for and the addresses of their buffers. Blocks wait for each
// other, so the launch is cooperative: the driver runs all of them at once or says that it cannot.
#include "runtime/device/CudaPersistent.h"

#include "runtime/device/Tiles.h"
#include <algorithm>
#include <cstring>
#include <vector>

namespace sinter::device::cuda {

namespace {

int64_t tilesOf(const sinter_gpu_task &task, const sinter_step &step) {
  const sinter_grid grid = {task.columns, int32_t(task.rows_per_tile), int32_t(task.keys_per_tile),
                            task.domain, 0};
  return sinter_tile_count(&grid, &step);
}

} // namespace

Result<void> PersistentStep::upload(const sinter_gpu_persistent &program, const Places &places,
                                    Stream stream) {
  const auto whole = [](uint64_t bytes) { return (bytes + 15) / 16 * 16; };
  const uint64_t taskBytes = whole(program.task_count * sizeof(sinter_gpu_task)),
                 waitBytes = whole(program.wait_count * sizeof(uint32_t));
  std::vector<std::byte> bytes(taskBytes + waitBytes + places.buffers.size_bytes());
  std::memcpy(bytes.data(), program.tasks, program.task_count * sizeof(sinter_gpu_task));
  if (program.wait_count)
    std::memcpy(bytes.data() + taskBytes, program.waits, program.wait_count * sizeof(uint32_t));
  std::memcpy(bytes.data() + taskBytes + waitBytes, places.buffers.data(), places.buffers.size_bytes());
  Result<DeviceBuffer> buffer = DeviceBuffer::allocate(driver, bytes.size(), "the tasks of a step");
  if (!buffer)
    return tl::unexpected(buffer.error());
  table = std::move(*buffer);
  addresses = {places.step, table.address(), table.address() + taskBytes,
               table.address() + taskBytes + waitBytes, places.counters};
  Code code = driver->copyToDevice(table.address(), bytes.data(), bytes.size(), stream);
  if (code == Code::Success) // before the bytes are gone
    code = driver->streamSynchronize(stream);
  return driver->check(code, "uploading the tasks of a step");
}

Result<void> PersistentStep::prepare(const Gpu &gpu, const sinter_gpu_persistent &program,
                                     const Places &places, const sinter_step &largest, Stream stream) {
  driver = gpu.driver();
  if (!gpu.attribute(Attribute::CooperativeLaunch))
    return fail(
        "this program runs a step as one kernel whose blocks wait for each other: expected a GPU with "
        "cooperative launches, found one without (compile without --persistent)");
  Result<Function> found = gpu.module().function(program.function);
  if (!found)
    return tl::unexpected(found.error());
  Result<void> done = driver->check(
      driver->functionSetAttribute(*found, FunctionAttribute::DynamicSharedMost, int(program.shared_bytes)),
      fmt::format("{} bytes of shared memory for the kernel '{}'", program.shared_bytes, program.function));
  if (!done)
    return done;
  int perMultiprocessor = 0;
  done =
      driver->check(driver->occupancy(&perMultiprocessor, *found, int(program.threads), program.shared_bytes),
                    fmt::format("planning the kernel '{}'", program.function));
  if (!done)
    return done;
  if (perMultiprocessor < 1)
    return fail(
        "the kernel '{}' with {} threads and {} bytes of shared memory does not fit on this GPU (compile "
        "without --persistent)",
        program.function, program.threads, program.shared_bytes);
  int64_t tiles = 1;
  for (uint64_t i = 0; i < program.task_count; ++i)
    tiles = std::max(tiles, tilesOf(program.tasks[i], largest));
  // A block has the threads and registers of a whole multiprocessor: no second one is asked for.
  const int64_t blocks = std::min<int64_t>(tiles, gpu.multiprocessors());
  if (done = upload(program, places, stream); !done)
    return done;
  cooperative.id = LaunchAttribute::cooperative;
  cooperative.value.flag = 1;
  config = {{uint32_t(blocks), 1, 1}, {program.threads, 1, 1}, program.shared_bytes, stream, &cooperative, 1};
  function = *found;
  return {};
}

Result<void> PersistentStep::launch(uint64_t count) {
  uint32_t tasks = uint32_t(count);
  void *parameters[] = {&addresses[0], &addresses[1], &addresses[2], &addresses[3], &addresses[4], &tasks};
  return driver->check(driver->launchKernelEx(&config, function, parameters, nullptr), "launching a step");
}

} // namespace sinter::device::cuda
