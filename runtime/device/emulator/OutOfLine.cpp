// SPDX-License-Identifier: Apache-2.0
// Which functions are called through a stack of activations (CallStack.h), and their translation. All others
// are inlined.
#include "runtime/device/emulator/CallStack.h"
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Translator.h"

#include <algorithm>
#include <utility>

namespace sinter::emulator {

namespace {

/// The operand of a call that says what is called; null without one.
const Operand *calledOf(const Statement &statement) {
  for (const Operand &each : statement.operands)
    if (each.kind != Operand::vector)
      return &each;
  return nullptr;
}

/// Calls visit(id) for every function whose address a statement or a variable takes.
template <typename F> void eachAddressTaken(const Module &module, F visit) {
  for (const Function &function : module.functions)
    for (const Statement &each : function.statements) {
      const Operand *called = each.opcode == "call" ? calledOf(each) : nullptr;
      for (const Operand &operand : each.operands)
        if (operand.kind == Operand::function && &operand != called)
          visit(operand.id);
    }
  for (const Variable &variable : module.variables)
    for (const Variable::Relocation &each : variable.relocations)
      if (const auto found = module.functionNames.find(each.symbol); found != module.functionNames.end())
        visit(found->second);
}

/// Functions by number that one calls by name, and whether it calls through registers.
struct CallsOf {
  std::vector<int32_t> direct;
  bool indirect = false;
};
CallsOf callsOf(const Function &function) {
  CallsOf result;
  for (const Statement &each : function.statements) {
    const Operand *called = each.opcode == "call" ? calledOf(each) : nullptr;
    if (called && called->kind == Operand::function)
      result.direct.push_back(called->id);
    else if (called)
      result.indirect = true;
  }
  return result;
}

} // namespace

void Translator::findOutOfLine() {
  // Depth first: a call of a function that is being visited is recursive.
  enum : uint8_t { unseen, open, done };
  std::vector<uint8_t> state(module.functions.size(), unseen);
  bool indirect = false;
  const auto addCallee = [&](int32_t id) {
    if (!module.functions[static_cast<size_t>(id)].hasBody)
      return;
    if (!callees.try_emplace(id, static_cast<int32_t>(callees.size())).second)
      return;
    calleeFunctions.push_back(id);
  };
  const auto visit = [&](int32_t root) {
    struct Visit {
      int32_t id;
      CallsOf calls;
      size_t next = 0;
    };
    std::vector<Visit> path;
    const auto enter = [&](int32_t id) {
      state[static_cast<size_t>(id)] = open;
      path.push_back({id, callsOf(module.functions[static_cast<size_t>(id)])});
      indirect |= path.back().calls.indirect;
    };
    if (state[static_cast<size_t>(root)] == unseen)
      enter(root);
    while (!path.empty()) {
      Visit &last = path.back();
      if (last.next == last.calls.direct.size()) {
        state[static_cast<size_t>(last.id)] = done;
        path.pop_back();
        continue;
      }
      const int32_t id = last.calls.direct[last.next++];
      if (state[static_cast<size_t>(id)] == open) {
        recursive.insert(id);
        addCallee(id);
      } else if (state[static_cast<size_t>(id)] == unseen) {
        enter(id);
      }
    }
  };
  visit(static_cast<int32_t>(&entry - module.functions.data()));
  if (indirect)
    eachAddressTaken(module, [&](int32_t id) {
      addCallee(id);
      visit(id);
    });
}

void Translator::translateCallees() {
  if (calleeFunctions.empty())
    return;
  program->stackPointer = allocate(8 * lanesOfWarp, 64);
  for (const int32_t id : calleeFunctions) {
    const Function &function = module.functions[static_cast<size_t>(id)];
    Callee &callee = program->callees.emplace_back();
    callee.name = std::string(function.name);
    uint64_t end = 0;
    const auto layout = [&](const std::vector<int32_t> &variables, std::vector<uint64_t> &sizes) {
      for (const int32_t index : variables) {
        sizes.push_back(function.variables[static_cast<size_t>(index)].size);
        end =
            (end + sizes.back() + Callee::argumentAlign - 1) / Callee::argumentAlign * Callee::argumentAlign;
      }
    };
    layout(function.results, callee.results);
    layout(function.parameters, callee.parameters);
    callee.frameBytes = end;
    program->calleeAt[functionAddress(id)] = static_cast<int32_t>(program->callees.size() - 1);
  }
  for (size_t i = 0; i < calleeFunctions.size() && !failed(); ++i) {
    const Function &function = module.functions[static_cast<size_t>(calleeFunctions[i])];
    program->callees[i].start = static_cast<uint32_t>(program->code.size());
    instances.push_back(std::make_unique<Instance>());
    Instance &root = *instances.back();
    root.function = &function;
    root.callee = static_cast<int32_t>(i);
    root.places.resize(function.variables.size());
    uint64_t at = 0;
    for (const auto *list : {&function.results, &function.parameters})
      for (const int32_t index : *list) {
        root.places[static_cast<size_t>(index)] = {Space::local, at, true, false, false, true};
        at = (at + function.variables[static_cast<size_t>(index)].size + Callee::argumentAlign - 1) /
             Callee::argumentAlign * Callee::argumentAlign;
      }
    // Registers of its own: it may be called while any other function is at work.
    std::vector<Pool> others = std::exchange(pools, {});
    this->function(root);
    for (const auto &[bytes, slots] : pools.empty() ? Pool() : pools[0])
      for (const uint32_t slot : slots)
        program->callees[i].registers.push_back({slot, bytes});
    pools = std::move(others);
  }
  program->entry = static_cast<uint32_t>(program->code.size());
}

/// A call through the stack: of the function with number `id`, or by the address in a register (-1).
void Translator::stackCall(int32_t id, uint32_t address, const Operand *results, const Operand *arguments,
                           const Operand *targets) {
  CallSite site;
  site.callee = id < 0 ? -1 : callees.at(id);
  site.caller = instance->callee;
  for (const auto &[list, values] :
       {std::pair(results, &site.results), std::pair(arguments, &site.parameters)})
    for (size_t i = 0; list && i < list->parts.size(); ++i) {
      const Operand &part = list->parts[i];
      if (part.kind != Operand::variable || part.id < 0)
        return fail("expected .param variables in the lists of a call, found '{}'", part.name);
      const Instance::Place place = placeOf(part);
      if (place.kernelParameter || place.space != Space::local)
        return fail("expected .param variables of the function in the lists of a call, found '{}'",
                    part.name);
      values->push_back({place.value, instance->function->variables[static_cast<size_t>(part.id)].size});
    }
  if (targets) {
    const auto found = instance->function->callTargets.find(targets->id);
    if (targets->kind != Operand::table)
      return fail("expected the label of a .callprototype or .calltargets, found '{}'", targets->name);
    if (found != instance->function->callTargets.end()) {
      site.isListed = true;
      for (const int32_t each : found->second)
        if (const auto callee = callees.find(each); callee != callees.end())
          site.targets.push_back(callee->second);
    }
  }
  Instruction &in = emit(stackCallHandler(), InstructionClass::control);
  in.a = address;
  in.detail = keep(std::move(site));
}

} // namespace sinter::emulator
