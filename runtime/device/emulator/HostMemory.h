// SPDX-License-Identifier: Apache-2.0
// How much memory the host has: what a hostile program asks for is compared with it.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_HOSTMEMORY_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_HOSTMEMORY_H

#include <cstdint>
#include <unistd.h>

namespace sinter::emulator {

/// Bytes of this machine's memory.
inline uint64_t physicalMemory() {
  static const uint64_t bytes =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_HOSTMEMORY_H
