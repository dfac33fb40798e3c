// SPDX-License-Identifier: Apache-2.0
// The families of instructions; each has a file of its own with the name of its function.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_OPCODES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_OPCODES_H

#include "runtime/device/emulator/Translator.h"

namespace sinter::emulator {

std::span<const Opcode> integerOpcodes();
std::span<const Opcode> bitOpcodes();
std::span<const Opcode> floatingOpcodes();
std::span<const Opcode> approximationOpcodes();
std::span<const Opcode> comparisonOpcodes();
std::span<const Opcode> conversionOpcodes();
std::span<const Opcode> moveOpcodes();
std::span<const Opcode> controlOpcodes();
std::span<const Opcode> loadStoreOpcodes();
std::span<const Opcode> atomicOpcodes();
std::span<const Opcode> warpOpcodes();
std::span<const Opcode> barrierOpcodes();
std::span<const Opcode> mbarrierOpcodes();
std::span<const Opcode> asyncCopyOpcodes();
std::span<const Opcode> matrixMoveOpcodes();
std::span<const Opcode> mmaOpcodes();
std::span<const Opcode> wgmmaOpcodes();
std::span<const Opcode> wmmaOpcodes();
std::span<const Opcode> videoOpcodes();
std::span<const Opcode> tensorMapOpcodes();

/// What translates a base opcode; null if no family knows it.
void (*translatorOf(std::string_view opcode))(Translator &);

/// The least .target that has an instruction ("Target ISA Notes" of PTX ISA chapter 9): 80 and 90 where it
/// says so, else 0.
struct NeededTarget {
  uint32_t capability = 0;
  bool exactly = false; // of sm_90a alone
};
NeededTarget neededTarget(const Statement &statement);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_OPCODES_H
