// SPDX-License-Identifier: Apache-2.0
// How near a launch may come to the limits of a GPU, predicted from its counters: a model, not a measurement.
#ifndef SINTER_COMPILER_KERNELLIMIT_H
#define SINTER_COMPILER_KERNELLIMIT_H

#include "compiler/KernelCounts.h"

namespace sinter {

/// What a GPU of an architecture does at best, from NVIDIA's data sheets and white papers: H100 SXM for
/// sm_90a, A100 SXM with 80 GB for sm_80.
struct GpuFigures {
  const char *name;
  double clock;               ///< Hz
  double memoryBytes;         ///< a second, of HBM
  double cacheBytesPerClock;  ///< of L2 (H100: that of A100, as none is stated)
  double tensorFlopsPerClock; ///< a multiprocessor, f16 and bf16, dense; tf32 half of it, 8 bits twice
  int multiprocessors;
};
const GpuFigures &figuresOf(gpu::Architecture architecture);

struct PredictedLimit {
  double least;        ///< seconds for what the launch needs, on the whole GPU: its bytes from HBM, its FLOPs
  double predicted;    ///< seconds by its counters, on the multiprocessors that have a block: the longest of
                       ///< `boundBy`
  const char *boundBy; ///< "memory", "cache", "tensor", "issue", "shared"
  double share() const { return predicted > 0 ? least / predicted : 1; }
};

/// The time of each resource by what the launch counts: HBM gives the needed bytes; L2 gives all bytes of
/// global memory (64 a clock and multiprocessor); tensor cores; 4 warp instructions a clock and
/// multiprocessor; 1 wavefront of shared memory. Latencies, launches and clocks below the stated ones are not
/// in it.
PredictedLimit predictLimit(gpu::Architecture architecture, const LaunchCounts &counts);

} // namespace sinter

#endif // SINTER_COMPILER_KERNELLIMIT_H
