// SPDX-License-Identifier: Apache-2.0
// What all launches of a program counted, by kernel: SINTER_EMULATOR_COUNTERS=FILE.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_DRIVERCOUNTERS_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_DRIVERCOUNTERS_H

#include "runtime/Result.h"
#include "runtime/device/emulator/Program.h"
#include <map>
#include <string>

namespace sinter::emulator {

class DriverCounters {
public:
  explicit operator bool() const { return !path.empty(); }
  /// An error if the file cannot be written.
  Result<> writeTo(std::string file);
  void add(const Program &program, const KernelCounters &counters);
  /// {"kernels": [{"kernel", "launches", "counters"}, ...]}, by name. Nothing without a path.
  Result<> write() const;

private:
  struct Sum {
    uint64_t launches = 0;
    std::array<uint64_t, instructionClasses> instructions{};
    KernelCounters counters; // without instructions of the program
  };
  std::string path;
  std::map<std::string, Sum> sums;
};

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_DRIVERCOUNTERS_H
