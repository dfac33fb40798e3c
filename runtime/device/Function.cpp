// SPDX-License-Identifier: Apache-2.0
// Functions of kernels: the launches of a step on one thread, without a device.
#include "runtime/device/Function.h"
#include "runtime/device/CpuFeatures.h"
#include "runtime/device/Tiles.h"
#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>

namespace {

constexpr uint64_t mostBuffers = 64; // of a launch, as the compiler checks

/// The best version that was compiled and that this machine runs.
sinter_kernel versionFor(const sinter_launch &launch) {
  static std::atomic<int> detected{
      -2}; // no guarded static: that alone would link the C++ library's exceptions
  int machine = detected.load(std::memory_order_relaxed);
  if (machine == -2)
    detected.store(machine = sinter::device::detectIsa(), std::memory_order_relaxed);
  for (int isa = machine; isa >= 0; --isa)
    if (launch.kernels[isa])
      return launch.kernels[isa];
  return nullptr;
}

void runStep(const sinter_function &function, void *const *arguments, int64_t firstRow,
             const sinter_step &step, std::byte *arena, void *scratch) {
  for (uint64_t i = 0; i < function.launch_count; ++i) {
    const sinter_launch &launch = function.launches[i];
    void *buffers[mostBuffers];
    assert(launch.buffer_count <= mostBuffers && "the compiler made a launch of more buffers");
    for (uint64_t j = 0; j < launch.buffer_count; ++j) {
      const sinter_buffer &buffer = launch.buffers[j];
      if (buffer.space == SINTER_SPACE_ARENA)
        buffers[j] = arena + buffer.offset;
      else
        buffers[j] = static_cast<std::byte *>(arguments[buffer.offset]) +
                     uint64_t(firstRow) * function.row_bytes[buffer.offset];
    }
    const sinter_call call{buffers, &step, scratch};
    const sinter_kernel kernel = versionFor(launch);
    assert(kernel &&
           "expected a processor with one of the instruction sets that this function was compiled for");
    kernel(&call, 0, sinter_tile_count(&launch.grid, &step));
  }
}

} // namespace

void sinter_run_function(const sinter_function *function, void *const *arguments, const sinter_step *step,
                         void *arena, void *scratch) {
  const int64_t most = function->max_rows ? function->max_rows : std::max<int64_t>(step->rows, 1);
  sinter_step part = *step;
  for (int64_t first = 0; first < step->rows; first += most) {
    part.rows = std::min(most, step->rows - first);
    if (most < step->rows)
      part.selected = part.rows;
    for (auto ids : {&sinter_step::tokens, &sinter_step::positions, &sinter_step::slots})
      if (step->*ids)
        part.*ids = step->*ids + first;
    runStep(*function, arguments, first, part, static_cast<std::byte *>(arena), scratch);
  }
}
