// SPDX-License-Identifier: Apache-2.0
// A kernel ready to run: its instructions with their handlers, the layout of a warp's registers, and what
// stands in them at the start (constants, special registers, addresses).
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_PROGRAM_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_PROGRAM_H

#include "runtime/Result.h"
#include "runtime/device/emulator/CallStack.h"
#include "runtime/device/emulator/Machine.h"
#include "runtime/device/emulator/Syntax.h"

namespace sinter::emulator {

/// Special registers (PTX ISA chapter 10) that do not change while a warp runs; the rest are instructions.
enum class Special : uint8_t {
  tidX,
  tidY,
  tidZ,
  ntidX,
  ntidY,
  ntidZ,
  ctaidX,
  ctaidY,
  ctaidZ,
  nctaidX,
  nctaidY,
  nctaidZ,
  laneid,
  warpid,
  nwarpid,
  smid,
  nsmid,
  gridid,
  lanemaskEq,
  lanemaskLe,
  lanemaskLt,
  lanemaskGe,
  lanemaskGt,
  clusterIdX,
  clusterIdY,
  clusterIdZ,
  nclusterIdX,
  nclusterIdY,
  nclusterIdZ,
  clusterCtaidX,
  clusterCtaidY,
  clusterCtaidZ,
  clusterNctaidX,
  clusterNctaidY,
  clusterNctaidZ,
  clusterCtarank,
  clusterNctarank,
  isExplicitCluster,
  totalSmemSize,
  dynamicSmemSize,
};

struct MultiplyAddRun; // MultiplyAdds.cpp
struct FragmentWrites; // WgmmaFences.h

struct Program {
  std::string name;
  std::vector<Instruction> code;
  std::vector<uint32_t> lists;
  std::vector<std::shared_ptr<void>> details;
  /// Instructions that may be executed as one. How often they are is counted behind the instructions.
  std::vector<std::shared_ptr<MultiplyAddRun>> multiplyAddRuns;

  uint32_t entry = 0; // where a warp begins
  /// Functions that are not inlined, by number and by address; where the frame of a lane's activation begins
  /// in local memory (64 bits a lane), and where those of the functions that the kernel calls do.
  std::vector<Callee> callees;
  std::unordered_map<uint64_t, int32_t> calleeAt;
  uint32_t stackPointer = 0;
  uint64_t stackBegin = 0;
  std::shared_ptr<FragmentWrites> fragmentWrites; // null without wgmma

  uint32_t frameBytes = 0;    // of a warp, a multiple of 64
  std::vector<uint8_t> image; // the start of every frame: constants
  struct SpecialSlot {
    uint32_t slot;
    Special which;
  };
  std::vector<SpecialSlot> specials; // 32 values of 32 bits
  struct AddressSlot {
    uint32_t slot;
    uint8_t bytes;                                                 // 4 or 8
    enum Kind : uint8_t { shared, dynamicShared, parameter } kind; // what `value` is an offset into
    uint64_t value;
  };
  std::vector<AddressSlot> addresses;

  /// Shared memory below this address belongs to the system, as on hardware; address 0 is nobody's.
  static constexpr uint32_t sharedReserved = 1024;
  uint32_t staticShared = 0;    // end of static shared memory, the reserved part included
  uint32_t dynamicSharedAt = 0; // where extern shared memory starts
  uint32_t localBytes = 0;      // of a thread
  struct Parameter {
    uint32_t offset, size;
  };
  std::vector<Parameter> parameters;
  uint32_t parameterBytes = 0;
  std::array<uint32_t, 3> requiredThreads{}, maxThreads{}, requiredCluster{};
  uint32_t maxRegisters = 0;
  uint32_t minBlocks = 0; // .minnctapersm
  /// Names of shared variables, for messages: start and end.
  struct SharedName {
    std::string name;
    uint32_t begin, end;
  };
  std::vector<SharedName> sharedNames;
};

/// Addresses of a module's variables, by index into Module::variables.
using VariableAddresses = std::vector<uint64_t>;

/// Translates one entry of a module. Errors name the line: an unknown instruction, modifier or operand is
/// one.
Result<std::unique_ptr<Program>> translate(const Module &module, const Function &entry,
                                           const VariableAddresses &addresses);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_PROGRAM_H
