// SPDX-License-Identifier: Apache-2.0
// The architectures of GPUs that kernels are emitted for, and what emitters may ask of them.
#ifndef SINTER_PASSES_LOWERING_GPU_TARGET_H
#define SINTER_PASSES_LOWERING_GPU_TARGET_H

#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <optional>

namespace sinter::gpu {

/// The numbers of sinter_gpu_image.architecture.
///   Sm80  compute capability 8.0 and, as PTX, every later one
///   Sm90  sm_90a: 9.0 alone, with wgmma and bulk copies
enum class Architecture : uint32_t { Sm80 = 80, Sm90 = 90 };

/// "sm_80", "sm_90a": what LLVM and ptxas call it.
llvm::StringRef nameOf(Architecture architecture);
std::optional<Architecture> architectureNamed(llvm::StringRef name);

/// Threads of a warp.
inline constexpr int64_t warpSize = 32;

} // namespace sinter::gpu

#endif // SINTER_PASSES_LOWERING_GPU_TARGET_H
