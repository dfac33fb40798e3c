// SPDX-License-Identifier: Apache-2.0
// A module that is loaded: its variables have places in global memory, its kernels are translated when first
// asked for.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_MODULES_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_MODULES_H

#include "runtime/device/emulator/Memory.h"
#include "runtime/device/emulator/Program.h"
#include "runtime/device/emulator/Syntax.h"

namespace sinter::emulator {

class LoadedModule {
public:
  /// Parses PTX text and places its variables. Errors name the line.
  static Result<std::unique_ptr<LoadedModule>> load(std::string_view text, GlobalMemory &memory);
  ~LoadedModule();

  /// The kernel `name`, or the only one when the name is empty. Instructions that nobody knows are an error
  /// here.
  Result<const Program *> kernel(std::string_view name);
  std::vector<std::string> kernelNames() const;
  /// Whether a device of this compute capability runs it: code of sm_90a goes nowhere else, other code to
  /// newer ones.
  bool runsOn(uint32_t capability) const;
  std::string_view target() const { return module.target; }
  /// Address and size of a variable; false if there is none of that name.
  bool variable(std::string_view name, uint64_t &address, uint64_t &bytes) const;

private:
  explicit LoadedModule(GlobalMemory &memory) : memory(memory) {}

  GlobalMemory &memory;
  Module module;
  VariableAddresses addresses;
  std::map<std::string, std::unique_ptr<Program>, std::less<>> programs;
};

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_MODULES_H
