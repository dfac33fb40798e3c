// SPDX-License-Identifier: Apache-2.0
// wgmma in flight: registers that the hardware still writes. Reading or writing one before wgmma.wait_group
// is a hazard; a plain copy is not, as compilers leave copies between chained wgmma that ptxas removes: the
// copy is followed as a rename.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_INFLIGHT_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_INFLIGHT_H

#include "runtime/device/emulator/Machine.h"
#include <functional>
#include <unordered_map>

namespace sinter::emulator {

/// One wgmma of a warp: its accumulators (32 lanes each), where they start, and what computes them.
struct PendingMma {
  using Values = std::vector<std::array<uint32_t, 32>>;
  struct Start {
    std::shared_ptr<PendingMma> from; // the wgmma that makes it, if that was in flight
    size_t index = 0;
  };
  uint32_t group = 0, line = 0;
  uint32_t time = 0; // of the race checker
  Values values;
  std::vector<Start> starts;
  std::function<void(Values &)> compute;
};

struct InFlight {
  uint32_t committed = 0;                           // groups
  std::vector<std::shared_ptr<PendingMma>> pending; // in order
  struct Place {
    std::shared_ptr<PendingMma> mma;
    size_t index;
  };
  std::unordered_map<uint32_t, Place> registers; // slot -> the accumulator that it will hold
};

/// Starts a wgmma on the accumulators in `slots`; under the schedule `earliest` it is computed at once, but
/// its registers count as in flight all the same.
void startMma(Warp &warp, const Instruction &in, const uint32_t *slots, uint32_t count,
              std::function<void(PendingMma::Values &)> compute);
void commitMma(Warp &warp);
/// All but the newest `pending` groups are done.
void waitMma(Warp &warp, uint32_t pending);
/// Looks at the operands of an instruction before it runs; reports hazards. False if the launch is to stop.
bool checkInFlight(Warp &warp, const Instruction &in);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_INFLIGHT_H
