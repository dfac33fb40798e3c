// SPDX-License-Identifier: Apache-2.0
// A roofline with five roofs.
#include "compiler/KernelLimit.h"

#include <algorithm>
#include <utility>

namespace sinter {

// NVIDIA H100 Tensor Core GPU Architecture (2022), NVIDIA A100 Tensor Core GPU Architecture (2020), and their
// data sheets. 132 * 4096 * 1.83e9 = 989 TFLOP/s; 108 * 2048 * 1.41e9 = 312 TFLOP/s.
const GpuFigures &figuresOf(gpu::Architecture architecture) {
  static constexpr GpuFigures h100 = {"H100 SXM", 1.83e9, 3.35e12, 5120, 4096, 132};
  static constexpr GpuFigures a100 = {"A100 SXM 80 GB", 1.41e9, 2.039e12, 5120, 2048, 108};
  return architecture == gpu::Architecture::Sm90 ? h100 : a100;
}

PredictedLimit predictLimit(gpu::Architecture architecture, const LaunchCounts &counts) {
  const GpuFigures &gpu = figuresOf(architecture);
  const emulator::KernelCounters &counters = counts.counters;
  const double used =
      static_cast<double>(std::min<uint64_t>(gpu.multiprocessors, std::max<uint64_t>(counters.blocks, 1)));
  constexpr double pathBytesPerClock = 64, schedulers = 4; // of a multiprocessor
  // Clocks of tensor cores in units of f16's; kernels without them are measured against f16.
  const double flops = static_cast<double>(counters.tensorFlops),
               weighted = flops - static_cast<double>(counters.tensorFlops8Bit) / 2 +
                          static_cast<double>(counters.tensorFlopsTf32);
  const double perFlop = flops > 0 ? weighted / flops : 1;
  const double tensorRate = gpu.tensorFlopsPerClock * gpu.clock;
  const double fromMemory = static_cast<double>(counts.neededBytes) / gpu.memoryBytes;

  const std::pair<double, const char *> times[] = {
      {fromMemory, "memory"},
      {static_cast<double>(counts.globalBytes()) /
           (gpu.clock * std::min(gpu.cacheBytesPerClock, pathBytesPerClock * used)),
       "cache"},
      {weighted / (tensorRate * used), "tensor"},
      {static_cast<double>(counts.issued()) / (schedulers * gpu.clock * used), "issue"},
      {static_cast<double>(counters.sharedLoadWavefronts + counters.sharedStoreWavefronts) /
           (gpu.clock * used),
       "shared"},
  };
  const auto &longest = *std::max_element(std::begin(times), std::end(times),
                                          [](const auto &a, const auto &b) { return a.first < b.first; });
  const double least = std::max(fromMemory, static_cast<double>(counts.neededFlops) * perFlop /
                                                (tensorRate * gpu.multiprocessors));
  return {least, std::max(longest.first, least), longest.second};
}

} // namespace sinter
