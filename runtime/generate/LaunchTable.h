// SPDX-License-Identifier: Apache-2.0
// The rows of --bench --launches: where the time of a step goes, kernel by kernel.
#ifndef SINTER_RUNTIME_GENERATE_LAUNCHTABLE_H
#define SINTER_RUNTIME_GENERATE_LAUNCHTABLE_H

#include "runtime/device/Device.h"
#include <string>

namespace sinter {

/// What the launches of one kernel took together.
struct KernelTime {
  std::string kernel;
  int64_t launches = 0; ///< a step
  double work = 0;      ///< seconds of all runs in the kernel, on the first thread
  double wait = 0;      ///< and at the barrier after it
  double bytes = 0;     ///< of weights read
  double flops = 0;     ///< without attention over the keys
};

/// The kernels of an entry, the one that took longest first. `steps` runs were timed, of `rows` rows together
/// and `selected` rows of logits together.
std::vector<KernelTime> kernelTimes(const sinter_entry &entry, const device::LaunchTimes &times,
                                    int64_t steps, int64_t rows, int64_t selected);

/// A table, or (`json`) a line a kernel; `test` is the name of the test whose steps were timed.
std::string launchTable(const std::string &test, std::span<const KernelTime> kernels, int64_t steps,
                        const device::Limits &limits, bool json);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_LAUNCHTABLE_H
