// SPDX-License-Identifier: Apache-2.0
// The table of all base opcodes, and the architectures that they need.
#include "runtime/device/emulator/Opcodes.h"

#include <algorithm>

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

NeededTarget neededTarget(const Statement &statement) {
  const std::string_view opcode = statement.opcode;
  const auto is = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), opcode) != names.end();
  };
  const auto has = [&](std::initializer_list<std::string_view> modifiers) {
    return std::any_of(statement.modifiers.begin(), statement.modifiers.end(), [&](std::string_view each) {
      return std::find(modifiers.begin(), modifiers.end(), each) != modifiers.end();
    });
  };
  if (is({"wgmma", "setmaxnreg", "tensormap"}))
    return {90, true};
  if (is({"mma"}) && has({"f64"}) && has({"m16n8k4", "m16n8k8", "m16n8k16"}))
    return {90};
  if (is({"mapa", "getctarank", "elect", "stmatrix", "griddepcontrol"}) ||
      has({"shared::cluster", "cluster"}) || (is({"cp"}) && has({"bulk"})) ||
      (is({"st", "red", "fence"}) && has({"async", "mbarrier_init"})) ||
      (is({"mbarrier"}) && has({"try_wait", "expect_tx", "complete_tx"})) ||
      (is({"prefetch"}) && has({"tensormap"})))
    return {90};
  if (is({"cp", "mbarrier", "redux", "createpolicy", "discard", "applypriority"}) ||
      (is({"mma"}) && has({"bf16", "tf32", "m16n8k16", "m16n8k32", "m16n8k128", "m16n8k256", "and"})))
    return {80};
  return {};
}

} // namespace sinter::emulator
