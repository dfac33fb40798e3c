// SPDX-License-Identifier: Apache-2.0
// The table of all base opcodes.
#include "runtime/device/emulator/Opcodes.h"

namespace sinter::emulator {

void (*translatorOf(std::string_view opcode))(Translator &) {
  static const std::unordered_map<std::string_view, void (*)(Translator &)> table = [] {
    std::unordered_map<std::string_view, void (*)(Translator &)> result;
    for (auto family :
         {integerOpcodes,    bitOpcodes,     floatingOpcodes, approximationOpcodes, comparisonOpcodes,
          conversionOpcodes, moveOpcodes,    controlOpcodes,  loadStoreOpcodes,     atomicOpcodes,
          warpOpcodes,       barrierOpcodes, mbarrierOpcodes, asyncCopyOpcodes,     matrixMoveOpcodes,
          mmaOpcodes,        wgmmaOpcodes,   wmmaOpcodes,     videoOpcodes,         tensorMapOpcodes})
      for (const Opcode &entry : family())
        result.emplace(entry.name, entry.translate);
    return result;
  }();
  const auto found = table.find(opcode);
  return found == table.end() ? nullptr : found->second;
}

} // namespace sinter::emulator
