// SPDX-License-Identifier: Apache-2.0
// The translator's control flow: branches to labels, tables of them, and calls, whose bodies are put where
// they are called, unless they are recursive or through registers (OutOfLine.cpp).
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Translator.h"

namespace sinter::emulator {

void Translator::branch(const Operand &label, bool uniform) {
  if (label.kind != Operand::label)
    return fail("expected a label, found '{}'", label.name);
  emit(branchHandler(), InstructionClass::control);
  fixups.push_back(
      {static_cast<uint32_t>(program->code.size() - 1), instance, instance->function->targets[label.id], -1});
}

void Translator::branchTable(const Operand &index, const Operand &table) {
  if (table.kind != Operand::table)
    return fail("expected the label of a .branchtargets, found '{}'", table.name);
  const uint32_t slot = source(index, Type::u32);
  const std::vector<int32_t> &labels = instance->function->tables[table.id];
  Instruction &in = emit(branchTableHandler(), InstructionClass::control);
  in.a = slot;
  list(in, std::vector<uint32_t>(labels.size()));
  for (size_t i = 0; i < labels.size(); ++i)
    fixups.push_back(
        {0, instance, instance->function->targets[labels[i]], static_cast<int32_t>(in.list + i)});
}

void Translator::leaveFunction() {
  if (!instance->caller) {
    emit(instance->callee < 0 ? exitHandler() : stackReturnHandler(), InstructionClass::control);
    return;
  }
  emit(branchHandler(), InstructionClass::control);
  instance->returns.emplace_back(static_cast<uint32_t>(program->code.size() - 1), 0);
}

void Translator::call() {
  // call (results), name, (arguments) -- results and arguments may each be missing.
  take("uni");
  const std::vector<Operand> &operands = statement->operands;
  size_t at = 0;
  const Operand *results =
      at < operands.size() && operands[at].kind == Operand::vector ? &operands[at++] : nullptr;
  if (at >= operands.size() || (operands[at].kind != Operand::function && operands[at].kind != Operand::reg))
    return fail("expected the name of a function, or a register with its address");
  const Operand &called = operands[at++];
  const Operand *arguments =
      at < operands.size() && operands[at].kind == Operand::vector ? &operands[at++] : nullptr;
  if (called.kind == Operand::reg) {
    if (at >= operands.size())
      return fail("expected the label of a .callprototype or .calltargets");
    if (callees.empty())
      return fail("expected functions whose addresses the module takes, found none");
    return stackCall(-1, source(called, Type::u64), results, arguments, &operands[at]);
  }
  const Function &callee = module.functions[called.id];
  const auto matches = [](const Operand *list, size_t count) {
    return (list ? list->parts.size() : 0) == count;
  };
  if (!matches(results, callee.results.size()) || !matches(arguments, callee.parameters.size()))
    return fail("expected {} results and {} parameters for '{}'", callee.results.size(),
                callee.parameters.size(), callee.name);
  std::vector<Instance::Place> places[2];
  for (const auto *operandList : {results, arguments})
    for (size_t i = 0; operandList && i < operandList->parts.size(); ++i) {
      const Operand &part = operandList->parts[i];
      if (part.kind != Operand::variable || part.id < 0)
        return fail("expected .param variables in the lists of a call, found '{}'", part.name);
      const uint64_t given = instance->function->variables[part.id].size,
                     taken =
                         callee.variables[(operandList == arguments ? callee.parameters : callee.results)[i]]
                             .size;
      if (given != taken)
        return fail("expected a variable of {} bytes for '{}', found '{}' of {}", taken, callee.name,
                    part.name, given);
      places[operandList == arguments].push_back(placeOf(part));
    }
  if (!callee.hasBody) {
    const ExternalFunction *external = externalFunction(callee.name);
    if (!external)
      return fail("calls '{}', which the module only declares", callee.name);
    std::vector<uint64_t> offsets, sizes;
    for (const auto &place : places[1])
      offsets.push_back(place.value);
    for (const int32_t parameter : callee.parameters)
      sizes.push_back(callee.variables[parameter].size);
    if (sizes != external->arguments ||
        (!callee.results.empty() &&
         (callee.results.size() > 1 || callee.variables[callee.results[0]].size != external->result)))
      return fail("expected parameters of {} bytes for '{}', and a result of {}",
                  fmt::join(external->arguments, ", "), callee.name, external->result);
    Instruction &in = emit(external->handler, InstructionClass::control);
    in.offset = places[0].empty() ? -1 : static_cast<int64_t>(places[0][0].value);
    in.a = instance->callee < 0 ? 0 : program->stackPointer;
    in.detail = keep(std::move(offsets));
    return;
  }
  if (recursive.contains(called.id))
    return stackCall(called.id, 0, results, arguments, nullptr);
  int depth = 0;
  for (Instance *outer = instance; outer; outer = outer->caller)
    ++depth;
  constexpr size_t mostCalls = 1 << 14;
  if (instances.size() > mostCalls)
    return fail(
        "calls '{}': expected at most {} calls in a kernel, those of the called ones included, found more",
        callee.name, mostCalls);
  if (depth > 64)
    return fail("calls '{}': expected calls within calls to a depth of at most 64", callee.name);
  uint32_t skip = 0;
  const bool guarded = statement->guard >= 0;
  if (guarded) { // lanes whose guard fails go around the body
    Instruction &in = emit(branchHandler(), InstructionClass::control);
    in.guardFlip = ~in.guardFlip;
    skip = static_cast<uint32_t>(program->code.size() - 1);
  }
  auto next = std::make_unique<Instance>();
  next->function = &callee;
  next->caller = instance;
  next->callee = instance->callee;
  next->places.resize(callee.variables.size());
  for (size_t i = 0; i < places[0].size(); ++i)
    next->places[callee.results[i]] = places[0][i];
  for (size_t i = 0; i < places[1].size(); ++i)
    next->places[callee.parameters[i]] = places[1][i];
  instances.push_back(std::move(next));
  const Statement *here = statement;
  Instance &inlined = *instances.back();
  std::vector<std::string_view> outerLeft = std::move(left);
  function(inlined);
  left = std::move(outerLeft);
  statement = here;
  if (guarded)
    program->code[skip].extra = static_cast<uint32_t>(program->code.size());
}

} // namespace sinter::emulator
