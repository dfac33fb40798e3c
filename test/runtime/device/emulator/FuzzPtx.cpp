// SPDX-License-Identifier: Apache-2.0
// Any bytes as PTX: an error that names a line, or a module whose kernels become programs of instructions
// that we know.
#include "runtime/device/emulator/Modules.h"

#include <cstdlib>

using namespace sinter::emulator;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  GlobalMemory memory;
  const auto module = LoadedModule::load({reinterpret_cast<const char *>(data), size}, memory);
  if (!module)
    return module.error().message.empty() ? (std::abort(), 0) : 0;
  for (const std::string &name : (*module)->kernelNames()) {
    const auto program = (*module)->kernel(name);
    if (!program && program.error().message.empty())
      std::abort();
  }
  return 0;
}
