// SPDX-License-Identifier: Apache-2.0
// Loading of modules.
#include "runtime/device/emulator/Modules.h"

#include <cstring>

namespace sinter::emulator {

Result<std::unique_ptr<LoadedModule>> LoadedModule::load(std::string_view text, GlobalMemory &memory) {
  Result<Module> parsed = parseModule(text);
  if (!parsed)
    return tl::unexpected<Error>(parsed.error());
  std::unique_ptr<LoadedModule> loaded(new LoadedModule(memory));
  loaded->module = std::move(*parsed);
  for (const Variable &variable : loaded->module.variables) {
    if (variable.space == Space::shared) {
      loaded->addresses.push_back(0); // each kernel places its own
      continue;
    }
    if (variable.isExtern)
      return fail("line {}: variable '{}' is declared .extern and defined nowhere", variable.line,
                  variable.name);
    const uint64_t address = memory.allocate(variable.size, std::string(variable.name));
    if (!address)
      return fail("line {}: no memory for variable '{}' of {} bytes", variable.line, variable.name,
                  variable.size);
    loaded->addresses.push_back(address);
    if (!variable.initial.empty())
      std::memcpy(reinterpret_cast<void *>(address), variable.initial.data(), variable.initial.size());
  }
  for (size_t i = 0; i < loaded->module.variables.size(); ++i)
    for (const Variable::Relocation &relocation : loaded->module.variables[i].relocations) {
      const auto found = loaded->module.variableNames.find(relocation.symbol);
      const auto function = loaded->module.functionNames.find(relocation.symbol);
      if (found == loaded->module.variableNames.end() && function == loaded->module.functionNames.end())
        return fail("line {}: expected the name of a variable or function, found '{}'",
                    loaded->module.variables[i].line, relocation.symbol);
      const uint64_t base = found != loaded->module.variableNames.end()
                                ? loaded->addresses[static_cast<size_t>(found->second)]
                                : functionAddress(function->second);
      const uint64_t value = base + static_cast<uint64_t>(relocation.addend);
      std::memcpy(reinterpret_cast<uint8_t *>(loaded->addresses[i]) + relocation.at, &value, 8);
    }
  return loaded;
}

LoadedModule::~LoadedModule() {
  for (const uint64_t address : addresses)
    if (address)
      memory.free(address);
}

Result<const Program *> LoadedModule::kernel(std::string_view name) {
  const Function *found = nullptr;
  for (const Function &function : module.functions) {
    if (!function.isEntry || !function.hasBody || (!name.empty() && function.name != name))
      continue;
    if (found)
      return fail("expected the name of one of the kernels {}", fmt::join(kernelNames(), ", "));
    found = &function;
  }
  if (!found)
    return name.empty()
               ? fail("the module has no kernel")
               : fail("expected one of the kernels {}, found '{}'", fmt::join(kernelNames(), ", "), name);
  std::unique_ptr<Program> &program = programs[std::string(found->name)];
  if (!program) {
    Result<std::unique_ptr<Program>> translated = translate(module, *found, addresses);
    if (!translated)
      return tl::unexpected<Error>(translated.error());
    program = std::move(*translated);
  }
  return program.get();
}

std::vector<std::string> LoadedModule::kernelNames() const {
  std::vector<std::string> names;
  for (const Function &function : module.functions)
    if (function.isEntry && function.hasBody)
      names.emplace_back(function.name);
  return names;
}

bool LoadedModule::runsOn(uint32_t capability) const {
  const bool isBound = !module.target.empty() && (module.target.back() == 'a' || module.target.back() == 'f');
  return isBound ? module.capability() == capability : module.capability() <= capability;
}

bool LoadedModule::variable(std::string_view name, uint64_t &address, uint64_t &bytes) const {
  const auto found = module.variableNames.find(name);
  if (found == module.variableNames.end() ||
      module.variables[static_cast<size_t>(found->second)].space == Space::shared)
    return false;
  address = addresses[static_cast<size_t>(found->second)];
  bytes = module.variables[static_cast<size_t>(found->second)].size;
  return true;
}

} // namespace sinter::emulator
