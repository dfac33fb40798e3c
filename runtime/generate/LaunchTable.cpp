// SPDX-License-Identifier: Apache-2.0
// Adds up the times of equal kernels and sets them beside the limits.
#include "runtime/generate/LaunchTable.h"
#include <algorithm>

namespace sinter {

std::vector<KernelTime> kernelTimes(const sinter_entry &entry, const device::LaunchTimes &times,
                                    int64_t steps, int64_t rows, int64_t selected) {
  std::vector<KernelTime> kernels;
  for (uint64_t i = 0; i < entry.launch_count; ++i) {
    const sinter_launch &launch = entry.launches[i];
    auto at = std::find_if(kernels.begin(), kernels.end(),
                           [&](const KernelTime &each) { return each.kernel == launch.name; });
    if (at == kernels.end())
      at = kernels.insert(at, {launch.name});
    const bool isHead = launch.grid.domain == SINTER_DOMAIN_SELECTED;
    const int64_t count = isHead ? selected : rows;
    at->launches += 1;
    at->work += times.work[i];
    at->wait += times.wait[i];
    at->bytes += double(launch.weight_bytes) * double(isHead ? std::min(steps, selected) : steps);
    at->flops += double(launch.row_flops) * double(count);
  }
  std::stable_sort(kernels.begin(), kernels.end(), [](const KernelTime &a, const KernelTime &b) {
    return a.work + a.wait > b.work + b.wait;
  });
  return kernels;
}

std::string launchTable(const std::string &test, std::span<const KernelTime> kernels, int64_t steps,
                        const device::Limits &limits, bool json) {
  double all = 0;
  for (const KernelTime &each : kernels)
    all += each.work + each.wait;
  std::string out;
  if (!json)
    out = fmt::format(
        "\n| {:<20} | launches | us a step |  share |   wait | bandwidth |   peak |\n"
        "| -------------------- | -------: | --------: | -----: | -----: | --------: | -----: |\n",
        test);
  for (const KernelTime &each : kernels) {
    const double seconds = each.work + each.wait;
    if (!(seconds > 0))
      continue;
    const double micros = 1e6 * seconds / double(steps), share = seconds / all, wait = each.wait / seconds;
    const double bandwidth = each.bytes / seconds / limits.readBytesPerSecond;
    const double peak = each.flops / seconds / limits.flopsPerSecond;
    if (json)
      out += fmt::format("{{\"test\":\"{}\",\"kernel\":\"{}\",\"launches\":{},\"us_step\":{},\"share\":{},"
                         "\"wait_share\":{},\"bandwidth_share\":{},\"peak_share\":{}}}\n",
                         test, each.kernel, each.launches, micros, share, wait, bandwidth, peak);
    else
      out += fmt::format("| {:<20} | {:>8} | {:>9.1f} | {:>5.1f}% | {:>5.1f}% | {:>8.1f}% | {:>5.1f}% |\n",
                         each.kernel, each.launches, micros, 100 * share, 100 * wait, 100 * bandwidth,
                         100 * peak);
  }
  return out;
}

} // namespace sinter
