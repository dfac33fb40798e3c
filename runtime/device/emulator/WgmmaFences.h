// SPDX-License-Identifier: Apache-2.0
// Finds a missing wgmma.fence (PTX ISA 9.7.15.7.1): before a warp's first wgmma, and between a write of a
// register and a wgmma that accumulates into it or takes it as a fragment of A. Between wgmma of one shape on
// the same accumulators none is needed. Constants and plain copies are followed as renames, as in InFlight.h:
// compilers leave them behind a fence.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_WGMMAFENCES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_WGMMAFENCES_H

#include "runtime/device/emulator/Machine.h"
#include <unordered_map>

namespace sinter::emulator {

/// A statement that writes registers: slots of those, and of what it copies into them.
struct RegisterWrite {
  uint32_t instruction = 0; // the last of the statement's
  bool copies = false;
  std::vector<uint32_t> targets, sources;
};

/// Of a program with wgmma: the writes of what a wgmma takes, itself or through copies.
struct FragmentWrites {
  std::vector<uint32_t> at; // of each instruction: 1 + index into `writes`, 0 for none
  std::vector<RegisterWrite> writes;
};
/// Null for a program without wgmma.
std::shared_ptr<FragmentWrites> fragmentWritesOf(const Program &program, std::vector<RegisterWrite> writes);

/// What a warp has done to such registers since its last wgmma.fence.
struct FragmentState {
  bool fenced = false; // ever
  struct Write {
    uint32_t line;
    uint32_t shape; // of the wgmma that wrote it, 0: another instruction
  };
  std::unordered_map<uint32_t, Write> writes; // by slot
};

/// Before an instruction other than wgmma is executed by the active lanes.
void noteFragmentWrites(Warp &warp, const Instruction &in);
void fenceFragments(Warp &warp);
/// A wgmma on `accumulators` slots of its list, behind them those of A. `shape` is not 0. Reports hazards.
void checkFragmentFence(Warp &warp, const Instruction &in, uint32_t accumulators, uint32_t shape);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_WGMMAFENCES_H
