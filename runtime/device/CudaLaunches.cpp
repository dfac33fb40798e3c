// SPDX-License-Identifier: Apache-2.0
// Looks kernels up, plans their blocks and encodes their tensor maps.
#include "runtime/device/CudaLaunches.h"

#include "runtime/device/TensorMaps.h"
#include "runtime/device/Tiles.h"
#include <algorithm>

namespace sinter::device::cuda {

namespace {

/// As many blocks as are on the GPU at once, or as the largest step has tiles.
Result<uint32_t> blocksOf(const Gpu &gpu, const sinter_gpu_launch &launch, Function function,
                          const sinter_step &largest) {
  const Driver &driver = *gpu.driver();
  int perMultiprocessor = int(launch.blocks_per_sm);
  if (!perMultiprocessor) {
    const Code code =
        driver.occupancy(&perMultiprocessor, function, int(launch.threads), launch.shared_bytes);
    if (Result<void> known = driver.check(code, fmt::format("planning the kernel '{}'", launch.name)); !known)
      return tl::unexpected(known.error());
    if (perMultiprocessor < 1)
      return fail("the kernel '{}' with {} threads and {} bytes of shared memory does not fit on this GPU",
                  launch.name, launch.threads, launch.shared_bytes);
  }
  const int64_t tiles = sinter_tile_count(&launch.grid, &largest);
  const int64_t blocks =
      std::max<int64_t>(1, std::min<int64_t>(tiles, int64_t(perMultiprocessor) * gpu.multiprocessors()));
  const int64_t unit = std::max(launch.cluster, 1u);
  return uint32_t((blocks + unit - 1) / unit * unit);
}

Result<TensorMap> encode(const Driver &driver, const sinter_gpu_launch &launch, const sinter_tensor_map &map,
                         const CudaLaunches::Arguments &given) {
  if (!driver.tensorMapEncodeTiled)
    return fail("expected a CUDA driver with tensor maps for the kernel '{}', found one without",
                launch.name);
  const bool isSelected = launch.grid.domain == SINTER_DOMAIN_SELECTED;
  const sinter_step &largest = given.largest;
  const TiledMap tiled = tiledMap(map, {isSelected ? largest.selected : largest.rows, largest.cache_tokens,
                                        largest.cache_slot_bytes, given.cacheSlots});
  TensorMap result{};
  const Code code = driver.tensorMapEncodeTiled(
      &result, TiledMap::dataType, tiled.rank,
      reinterpret_cast<void *>(given.resolve(launch.buffers[map.buffer])), tiled.sizes.data(),
      tiled.strides.data(), tiled.box.data(), tiled.elementStrides.data(), TiledMap::interleave,
      tiled.swizzle, TiledMap::promotion, TiledMap::fill);
  if (Result<void> done = driver.check(code, fmt::format("a tensor map of the kernel '{}'", launch.name));
      !done)
    return tl::unexpected(done.error());
  return result;
}

} // namespace

Result<void> CudaLaunches::add(const Gpu &gpu, Stream stream, const sinter_gpu_launch &launch,
                               const Arguments &given) {
  const Driver &driver = *gpu.driver();
  Result<Function> function = gpu.module().function(launch.function);
  if (!function)
    return tl::unexpected(function.error());
  Bound &bound = launches.emplace_back();
  bound.launch = &launch;
  bound.function = *function;
  bound.parameters.push_back(&bound.arguments.emplace_back(given.step));
  for (uint64_t i = 0; i < launch.buffer_count; ++i)
    bound.parameters.push_back(&bound.arguments.emplace_back(given.resolve(launch.buffers[i])));
  for (uint64_t i = 0; i < launch.map_count; ++i) {
    Result<TensorMap> map = encode(driver, launch, launch.maps[i], given);
    if (!map)
      return tl::unexpected(map.error());
    bound.parameters.push_back(&bound.maps.emplace_back(*map));
  }
  constexpr uint32_t withoutAsking = 48 << 10;
  if (launch.shared_bytes > withoutAsking)
    if (Result<void> raised = driver.check(
            driver.functionSetAttribute(*function, FunctionAttribute::DynamicSharedMost,
                                        int(launch.shared_bytes)),
            fmt::format("{} bytes of shared memory for the kernel '{}'", launch.shared_bytes, launch.name));
        !raised)
      return raised;
  const Result<uint32_t> blocks = blocksOf(gpu, launch, *function, given.largest);
  if (!blocks)
    return tl::unexpected(blocks.error());
  bound.config = {{*blocks, 1, 1}, {launch.threads, 1, 1}, launch.shared_bytes, stream, nullptr, 0};
  if (launch.cluster > 1) {
    bound.cluster = {LaunchAttribute::cluster, {}, {}};
    bound.cluster.value.dimensions[0] = launch.cluster;
    bound.cluster.value.dimensions[1] = bound.cluster.value.dimensions[2] = 1;
    bound.config.attributes = &bound.cluster;
    bound.config.attributeCount = 1;
  }
  return {};
}

Result<void> CudaLaunches::start(const Driver &driver, size_t index) const {
  const Bound &each = launches[index];
  const Code code = driver.launchKernelEx(&each.config, each.function,
                                          const_cast<void **>(each.parameters.data()), nullptr);
  if (code != Code::Success)
    return driver.check(code, fmt::format("launching the kernel '{}'", each.launch->name));
  return {};
}

Result<OwnedGraphExec> captureGraph(const std::shared_ptr<Driver> &driver, Stream stream,
                                    const std::function<Result<void>()> &record) {
  constexpr int threadLocal = 1; // CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
  const auto check = [&](Code code) { return driver->check(code, "capturing a step"); };
  if (Result<void> begun = check(driver->streamBeginCapture(stream, threadLocal)); !begun)
    return tl::unexpected(begun.error());
  Result<void> recorded = record();
  Graph made = nullptr;
  const Result<void> ended = check(driver->streamEndCapture(stream, &made));
  const OwnedGraph graph(driver, made);
  GraphExec captured = nullptr;
  if (recorded && ended)
    recorded = check(driver->graphInstantiate(&captured, graph, 0));
  if (!recorded)
    return tl::unexpected(recorded.error());
  if (!ended)
    return tl::unexpected(ended.error());
  return OwnedGraphExec(driver, captured);
}

} // namespace sinter::device::cuda
