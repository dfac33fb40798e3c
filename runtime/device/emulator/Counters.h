// SPDX-License-Identifier: Apache-2.0
// What a launch would have cost: counts that are exact properties of the PTX and its inputs, none a model of
// time.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_COUNTERS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_COUNTERS_H

#include "runtime/device/emulator/Types.h"
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {
class JsonWriter;
}

namespace sinter::emulator {

enum class InstructionClass : uint8_t {
  integer,
  float32,
  float64,
  half,
  special,
  conversion,
  predicate,
  move,
  control,
  globalLoad,
  globalStore,
  sharedLoad,
  sharedStore,
  localAccess,
  constantLoad,
  atomic,
  asyncCopy,
  bulkCopy,
  matrixMove,
  tensor,
  barrier,
  warp,
  other,
};
inline constexpr size_t instructionClasses = static_cast<size_t>(InstructionClass::other) + 1;
std::string_view nameOf(InstructionClass kind);

struct KernelCounters {
  std::vector<uint64_t> executed;                    // warp instructions, by index into Program::code
  uint64_t tensorFlops = 0;                          // of all types, and those of these operands:
  uint64_t tensorFlops8Bit = 0, tensorFlopsTf32 = 0; // 8 bits and fewer; tf32
  uint64_t globalLoadRequests = 0, globalLoadSectors = 0, globalLoadBytes = 0;    // sectors of 32 bytes
  uint64_t globalStoreRequests = 0, globalStoreSectors = 0, globalStoreBytes = 0; // bytes: asked for by lanes
  uint64_t sharedLoadRequests = 0, sharedLoadWavefronts = 0;
  uint64_t sharedStoreRequests = 0, sharedStoreWavefronts = 0;
  uint64_t sharedConflicts = 0; // wavefronts beyond those an access without conflicts would take
  uint64_t asyncCopyBytes = 0;  // cp.async
  uint64_t bulkLoadBytes = 0, bulkStoreBytes = 0,
           multicastBytes = 0;                                    // multicast: delivered beyond what was read
  uint64_t barrierWaits = 0, mbarrierWaits = 0, clusterWaits = 0; // by warps
  uint64_t blocks = 0, warps = 0;

  void add(const KernelCounters &other);
  /// `flops` of tensor cores on operands of `type`.
  void addTensor(uint64_t flops, Type type);
};

/// Wavefronts of a shared-memory access: 32 banks of 4 bytes; 8-byte accesses go by half warps, 16-byte
/// accesses by quarter warps; lanes that read one word share it.
unsigned sharedWavefronts(const uint64_t (&addresses)[32], uint32_t mask, unsigned bytes, unsigned &ideal);
/// 32-byte sectors of global memory that an access touches.
unsigned globalSectors(const uint64_t (&addresses)[32], uint32_t mask, unsigned bytes);

struct Program;
std::array<uint64_t, instructionClasses> instructionsByClass(const Program &program,
                                                             const KernelCounters &counters);
/// Members of the object that is open: "instructions" by class, then each counter.
void writeCounters(JsonWriter &json, const std::array<uint64_t, instructionClasses> &byClass,
                   const KernelCounters &counters);
std::string countersTable(const Program &program, const KernelCounters &counters);
std::string countersJson(const Program &program, const KernelCounters &counters);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_COUNTERS_H
