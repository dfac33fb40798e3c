// SPDX-License-Identifier: Apache-2.0
#include "runtime/training/TrainerMemory.h"

#include <algorithm>

namespace sinter::training {
namespace {

/// "1.25 GiB", "43.2 MiB".
std::string bytesText(uint64_t bytes) {
  const bool large = bytes >= uint64_t(1) << 30;
  return fmt::format("{:.{}f} {}", double(bytes) / (large ? 0x1p30 : 0x1p20), large ? 2 : 1,
                     large ? "GiB" : "MiB");
}

/// What to do about a step that does not fit: activations are what a smaller batch makes smaller.
std::string whatFits(const sinter_trainer &trainer, const MemoryUse &use, uint64_t available) {
  const uint64_t fixed = use.total() - use.activations;
  if (fixed >= available && fixed - use.average < available)
    return "without the average of --ema a smaller batch would fit";
  if (fixed >= available)
    return "weights, gradients and the optimizer's state alone are more: only a smaller model fits";
  const int64_t batch = int64_t(double(trainer.batch) * double(available - fixed) / double(use.activations));
  if (batch >= 1)
    return fmt::format("--batch {} with --grad-accum for the rest would fit{}",
                       std::min(batch, trainer.batch - 1), trainer.recomputes ? "" : ", or --recompute may");
  return fmt::format("not even one sequence of {} tokens fits: --seq {} would", trainer.sequence,
                     int64_t(double(trainer.sequence * trainer.batch) * double(available - fixed) /
                             double(use.activations)));
}

} // namespace

std::string describe(const MemoryUse &use) {
  const std::string frozen =
      use.frozen > 0 ? fmt::format("weights that stay {}, adapters", bytesText(use.frozen)) : "weights";
  const std::string average = use.average > 0 ? fmt::format(", average {}", bytesText(use.average)) : "";
  return fmt::format("memory: {} ({} {}, gradients {}, optimizer {}{}, activations {}, scratch {})",
                     bytesText(use.total()), frozen, bytesText(use.parameters), bytesText(use.gradients),
                     bytesText(use.state), average, bytesText(use.activations), bytesText(use.scratch));
}

Result<> checkFits(const sinter_trainer &trainer, const MemoryUse &use, uint64_t available,
                   std::string_view where) {
  if (use.total() <= available)
    return {};
  return fail("expected a step of at most {}, {}, found {} for --batch {} --seq {}; {}", bytesText(available),
              where, bytesText(use.total()), trainer.batch, trainer.sequence,
              whatFits(trainer, use, available));
}

} // namespace sinter::training
