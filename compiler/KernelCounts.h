// SPDX-License-Identifier: Apache-2.0
// One launch of each GPU kernel of a model under the emulator: what it counts, and what the launch needs at
// least.
#ifndef SINTER_COMPILER_KERNELCOUNTS_H
#define SINTER_COMPILER_KERNELCOUNTS_H

#include "compiler/ModelTable.h"
#include "runtime/device/emulator/Counters.h"

namespace sinter {

struct LaunchCounts {
  std::string entry; // "decode" or "prefill"
  int64_t rows = 0, keys = 0;
  std::array<uint64_t, emulator::instructionClasses> instructions{}; // of warps
  emulator::KernelCounters counters;
  /// Each operand read once and each result written once, in bytes of global memory; two operations a
  /// multiply-add of matmuls and attention.
  uint64_t neededBytes = 0, neededFlops = 0;

  uint64_t issued() const;
  /// Global memory that the launch touched, by way of any cache: sectors of 32 bytes, and asynchronous
  /// copies.
  uint64_t globalBytes() const;
};

/// Launches each kernel.func of `module` once, over buffers of zeros, as the runtime would: kernels that
/// decode launches with one row whose keys are `decodeKeys`, others with the first `prefillRows` tokens of a
/// sequence; of these, the logits of one row are wanted. Fails with what the emulator finds wrong.
inline constexpr int64_t prefillRows = 128, decodeKeys = 256;
Result<std::map<std::string, LaunchCounts>> countLaunches(mlir::ModuleOp module, const GpuCode &code);

} // namespace sinter

#endif // SINTER_COMPILER_KERNELCOUNTS_H
