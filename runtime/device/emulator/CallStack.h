// SPDX-License-Identifier: Apache-2.0
// Calls that are not inlined: through registers, and recursive ones. Each lane has a stack of activations;
// the code of such a function stands once in the program, before the kernel's, so that lanes that called it
// are the first to go on. Its variables lie behind the caller's in local memory; its registers are those of
// the warp's frame, and an activation above another one of the same function keeps what that had in them.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_CALLSTACK_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_CALLSTACK_H

#include "runtime/device/emulator/Machine.h"

namespace sinter::emulator {

/// A function that is called so. In its frame of local memory results come first, then parameters, then
/// variables, results and parameters at multiples of `argumentAlign`.
struct Callee {
  static constexpr uint64_t argumentAlign = 16;
  std::string name;
  std::vector<uint64_t> results, parameters; // bytes of each
  uint32_t start = 0;                        // instruction
  uint64_t frameBytes = 0;
  struct Register {
    uint32_t slot;
    unsigned bytes; // of a lane; 0: a predicate
  };
  std::vector<Register> registers;
};

/// What an instruction calls, and with what. A value is copied between the caller's variable and the callee's
/// frame.
struct CallSite {
  int32_t callee = -1; // into Program::callees; -1: by the address in register `a`
  int32_t caller = -1; // the same; -1: the kernel itself
  struct Value {
    uint64_t at, bytes; // in the caller's frame
  };
  std::vector<Value> results, parameters;
  bool isListed = false; // .calltargets
  std::vector<int32_t> targets;
};

struct Activation {
  uint32_t returnTo; // instruction
  int32_t callee;
  const CallSite *site;
  uint64_t frame;             // the caller's
  std::vector<uint8_t> saved; // registers of the activation below of the same function
};
struct CallStack {
  std::array<std::vector<Activation>, lanesOfWarp> lanes;
  std::vector<std::array<uint32_t, lanesOfWarp>> depth; // of each callee
};

/// Detail: a CallSite.
Handlers stackCallHandler();
Handlers stackReturnHandler();
/// d = the address of byte `offset` of the function's frame.
Handlers frameAddressHandler(unsigned bytes);

inline constexpr uint64_t frameAlign = 128;
inline constexpr uint64_t stackBytes =
    32 << 10; // of a thread's local memory; CUDA gives 1 KiB unless it is told to
inline constexpr size_t mostActivations = 4096;

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_CALLSTACK_H
