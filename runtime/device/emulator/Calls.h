// SPDX-License-Identifier: Apache-2.0
// What the translator itself needs from the families: branches and exits, the change of a register's width,
// special registers, and the functions that the driver provides to kernels.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_CALLS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_CALLS_H

#include "runtime/device/emulator/Translator.h"

namespace sinter::emulator {

/// Goes to instruction `extra` (Control.cpp).
Handlers branchHandler();
Handlers branchTableHandler();
Handlers exitHandler();

/// Copies a register into one of another width, truncated or extended (Conversions.cpp).
Handlers resize(unsigned fromBytes, unsigned toBytes, bool isSigned);

struct SpecialSource {
  uint32_t slot = 0; // 0: unknown
  unsigned bytes = 4;
};
/// The slot of a special register; those that change while a warp runs are read by an instruction
/// (Specials.cpp).
SpecialSource specialRegister(Translator &translator, std::string_view name);
/// Fills the slots of special registers at the start of a warp (Specials.cpp).
void fillSpecials(const Launch &launch, const Block &block, Warp &warp);

/// vprintf, __assertfail, malloc, free. The instruction's detail is the list of local addresses of the
/// arguments, its offset that of the result, -1 without one; where `a` is not 0 both are in the frame that it
/// points to (CallStack.h).
struct ExternalFunction {
  std::string_view name;
  Handler handler;
  std::vector<uint64_t> arguments; // bytes of each
  uint64_t result;                 // bytes
};
/// Null for other names (External.cpp).
const ExternalFunction *externalFunction(std::string_view name);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_CALLS_H
