// SPDX-License-Identifier: Apache-2.0
// From syntax to a program: lays out parameters, variables and registers, inlines calls, resolves branches.
// What single instructions mean is in the families' files (Opcodes.h).
#include "runtime/device/emulator/Translator.h"
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Opcodes.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace sinter::emulator {

namespace {

constexpr uint32_t sinkBytes = 32 * 16;
constexpr size_t mostInstructions = 1 << 22;
constexpr uint64_t mostBytes = 1 << 30; // of a warp's registers, of a thread's memory

uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace

Translator::Translator(const Module &module, const Function &entry, const VariableAddresses &addresses)
    : module(module), entry(entry), variableAddresses(addresses), program(std::make_unique<Program>()) {
  frameEnd = sinkBytes;
  sharedEnd = Program::sharedReserved;
  for (const Function &function : module.functions)
    for (const Statement &each : function.statements)
      hasWgmma |= each.opcode == "wgmma";
}

void Translator::failWith(std::string text) {
  if (!error.empty())
    return;
  error = statement ? fmt::format("line {}: '{}': {}", statement->line, spelling(), text)
                    : fmt::format("function '{}': {}", entry.name, text);
}

std::string Translator::spelling() const {
  std::string text(statement->opcode);
  for (const std::string_view modifier : statement->modifiers)
    text += fmt::format(".{}", modifier);
  return text;
}

uint32_t Translator::allocate(unsigned bytes, unsigned align) {
  frameEnd = roundUp(frameEnd, align);
  const uint32_t slot = frameEnd;
  frameEnd += bytes;
  return slot;
}

/// A slot for a register of the function at work. Functions that the same one calls are never active at once
/// in a lane, so a later one takes the slots of earlier ones. (Not those of calls of its own: its registers
/// live on while they run.)
uint32_t Translator::allocateLocal(unsigned bytesOfLane) {
  std::vector<uint32_t> &free = pools[depth - 1][bytesOfLane];
  uint32_t slot = 0;
  if (!free.empty()) {
    slot = free.back();
    free.pop_back();
  } else if (bytesOfLane) {
    slot = allocate(bytesOfLane * lanesOfWarp, 64);
  } else {
    if (predicateNext == predicateEnd) {
      predicateNext = allocate(64, 64);
      predicateEnd = predicateNext + 64;
    }
    slot = predicateNext;
    predicateNext += 4;
  }
  instance->taken[bytesOfLane].push_back(slot);
  return slot;
}

Result<std::unique_ptr<Program>> Translator::run() {
  program->name = std::string(entry.name);
  program->requiredThreads = entry.requiredThreads;
  program->maxThreads = entry.maxThreads;
  program->requiredCluster = entry.requiredCluster;
  program->maxRegisters = entry.maxRegisters;
  program->minBlocks = entry.minBlocks;
  findOutOfLine();
  translateCallees();
  if (!error.empty())
    return tl::unexpected<Error>(Error{error});
  instances.push_back(std::make_unique<Instance>());
  instances.back()->function = &entry;
  layoutParameters(*instances.back());
  function(*instances.back());
  if (sharedEnd > mostBytes) // the launch says what a block has; until then it must be a number
    fail("expected at most {} bytes of shared memory, found {}", mostBytes, sharedEnd);
  if (!error.empty())
    return tl::unexpected<Error>(Error{error});

  for (const Fixup &fixup : fixups) {
    const auto target = static_cast<uint32_t>(fixup.instance->starts[fixup.statement]);
    if (fixup.tableEntry < 0)
      program->code[fixup.instruction].extra = target;
    else
      program->lists[fixup.tableEntry] = target;
  }
  if (!program->callees.empty()) {
    program->stackBegin = program->localBytes;
    program->localBytes = static_cast<uint32_t>(roundUp(program->localBytes, frameAlign) + stackBytes);
  }
  program->staticShared = static_cast<uint32_t>(sharedEnd);
  program->dynamicSharedAt = static_cast<uint32_t>(roundUp(sharedEnd, externSharedAlign));
  program->frameBytes = static_cast<uint32_t>(roundUp(frameEnd, 64));
  program->image.assign(program->frameBytes, 0);
  for (const auto &[slot, bytes] : images)
    std::memcpy(program->image.data() + slot, bytes.data(), bytes.size());
  if (hasWgmma)
    program->fragmentWrites = fragmentWritesOf(*program, std::move(writes));
  joinMultiplyAdds(*program, mentionsOfSlots());
  return std::move(program);
}

Mentions Translator::mentionsOfSlots() const {
  Mentions result;
  for (const std::unique_ptr<Instance> &each : instances) {
    const auto mention = [&](int32_t id) {
      if (id >= 0 && each->slots[static_cast<size_t>(id)])
        ++result[each->slots[static_cast<size_t>(id)]];
    };
    const auto visit = [&](const auto &self, const Operand &operand) -> void {
      if (operand.kind == Operand::reg)
        mention(operand.id);
      mention(operand.pair);
      for (const Operand &part : operand.parts)
        self(self, part);
    };
    for (const Statement &statement : each->function->statements) {
      mention(statement.guard);
      for (const Operand &operand : statement.operands)
        visit(visit, operand);
    }
  }
  return result;
}

void Translator::layoutParameters(Instance &root) {
  root.places.resize(entry.variables.size());
  uint64_t end = 0;
  for (const int32_t index : entry.parameters) {
    const Variable &variable = entry.variables[index];
    end = roundUp(end, variable.align);
    root.places[index] = {Space::param, end, true, true, false, false};
    program->parameters.push_back({static_cast<uint32_t>(end), static_cast<uint32_t>(variable.size)});
    end += variable.size;
  }
  if (end > mostBytes)
    return fail("expected at most {} bytes of parameters, found {}", mostBytes, end);
  program->parameterBytes = static_cast<uint32_t>(end);
}

/// Emits the body of `next` at the end of the program.
void Translator::function(Instance &next) {
  Instance *const outer = instance;
  const Statement *const outerStatement = statement;
  instance = &next;
  next.slots.assign(next.function->registers.size(), 0);
  next.places.resize(next.function->variables.size());
  const size_t level = depth++;
  pools.resize(std::max(pools.size(), level + 2)); // of this level, and of what it calls
  for (const Statement &each : next.function->statements) {
    next.starts.push_back(static_cast<int32_t>(program->code.size()));
    translateStatement(each);
    if (failed())
      return;
  }
  // A label may stand at the very end; and a body may fall off its end, which returns.
  next.starts.push_back(static_cast<int32_t>(program->code.size()));
  statement = outerStatement;
  if (!outer)
    emit(next.callee < 0 ? exitHandler() : stackReturnHandler(), InstructionClass::control);
  for (const auto &[from, unused] : next.returns)
    program->code[from].extra = static_cast<uint32_t>(program->code.size());
  for (Pool *given : {&next.taken, &pools[level + 1]})
    for (auto &[bytes, slots] : std::exchange(*given, {}))
      pools[level][bytes].insert(pools[level][bytes].end(), slots.begin(), slots.end());
  depth = level;
  instance = outer;
}

void Translator::translateStatement(const Statement &each) {
  statement = &each;
  written.clear();
  const auto part = [](const auto &self, const Operand &operand) -> std::string_view {
    std::string_view found = operand.part;
    for (const Operand &inner : operand.parts)
      found = found.empty() ? self(self, inner) : found;
    return found;
  };
  if (each.opcode.empty() || each.opcode[0] != 'v' ||
      each.opcode == "vote") // all others are video instructions
    for (const Operand &operand : each.operands)
      if (const std::string_view found = part(part, operand); !found.empty())
        return fail("expected whole registers, found part .{} of one", found);
  left = each.modifiers;
  auto *translate = translatorOf(each.opcode);
  if (!translate)
    return fail("unknown instruction");
  const NeededTarget needed = neededTarget(each);
  if (needed.capability > module.capability() || (needed.exactly && module.target != "sm_90a"))
    return fail("expected .target sm_{}{}, found {}", needed.capability, needed.exactly ? "a" : " or later",
                module.target);
  translate(*this);
  finishStatement();
  if (!failed() && (program->code.size() > mostInstructions || frameEnd > mostBytes))
    fail("expected a kernel of at most {} instructions and {} bytes of registers, its calls put in place, "
         "found more",
         mostInstructions, mostBytes);
}

void Translator::finishStatement() {
  if (failed())
    return;
  if (!left.empty())
    return fail("unknown modifier .{}", left.front());
  for (const Extension &extension : extensions) {
    Instruction &in = emit(resize(bytesOf(extension.type), extension.toBytes, isSigned(extension.type)),
                           InstructionClass::move);
    in.a = extension.from;
    in.d = extension.to;
  }
  extensions.clear();
  keepWrites();
}

/// What the statement wrote, and what it copied.
void Translator::keepWrites() {
  if (written.empty() || program->code.empty())
    return;
  RegisterWrite write;
  write.instruction = static_cast<uint32_t>(program->code.size() - 1);
  write.targets = std::move(written);
  written.clear();
  write.copies = statement->opcode == "mov";
  const auto visit = [&](const auto &self, const Operand &operand) -> void {
    if (operand.kind == Operand::reg)
      write.sources.push_back(instance->slots[static_cast<size_t>(operand.id)]);
    for (const Operand &part : operand.parts)
      self(self, part);
  };
  if (write.copies)
    visit(visit, operand(1));
  writes.push_back(std::move(write));
}

Instruction &Translator::emit(Handlers handlers, InstructionClass kind) {
  Instruction in;
  in.full = handlers.full;
  in.masked = handlers.masked;
  in.kind = kind;
  if (statement) {
    in.line = statement->line;
    if (statement->guard >= 0) {
      in.guard = registerSlot(statement->guard);
      in.guardFlip = statement->guardNegated ? allLanes : 0;
    }
  }
  program->code.push_back(in);
  return program->code.back();
}

void Translator::list(Instruction &in, const std::vector<uint32_t> &slots) {
  in.list = static_cast<uint32_t>(program->lists.size());
  in.count = static_cast<uint32_t>(slots.size());
  program->lists.insert(program->lists.end(), slots.begin(), slots.end());
}

// --- variables and addresses ---

void Translator::placeVariable(Instance &in, int32_t index) {
  const Variable &variable = in.function->variables[index];
  Instance::Place &place = in.places[index];
  place.known = true;
  place.space = variable.space;
  switch (variable.space) {
  case Space::shared:
    if (variable.isExtern) {
      place.dynamicShared = true;
      externSharedAlign = std::max<uint32_t>(externSharedAlign, static_cast<uint32_t>(variable.align));
      return;
    }
    sharedEnd = roundUp(sharedEnd, variable.align);
    place.value = sharedEnd;
    sharedEnd += variable.size;
    program->sharedNames.push_back(
        {std::string(variable.name), static_cast<uint32_t>(place.value), static_cast<uint32_t>(sharedEnd)});
    return;
  case Space::param: // of a call: memory of the thread
  case Space::local: {
    place.space = Space::local;
    place.inFrame = in.callee >= 0;
    Callee *callee = place.inFrame ? &program->callees[static_cast<size_t>(in.callee)] : nullptr;
    const uint64_t at = roundUp(callee ? callee->frameBytes : program->localBytes, variable.align);
    place.value = at;
    if (at + variable.size > mostBytes)
      return fail("variable '{}': expected at most {} bytes of memory a thread", variable.name, mostBytes);
    if (callee)
      callee->frameBytes = at + variable.size;
    else
      program->localBytes = static_cast<uint32_t>(at + variable.size);
    return;
  }
  default:
    fail("variable '{}': expected .shared, .local or .param inside of a function", variable.name);
  }
}

Translator::Instance::Place Translator::placeOf(const Operand &operand) {
  if (operand.id >= 0) {
    if (!instance->places[operand.id].known)
      placeVariable(*instance, operand.id);
    return instance->places[operand.id];
  }
  const int32_t index = ~operand.id;
  const Variable &variable = module.variables[index];
  if (variable.space != Space::shared)
    return {variable.space, variableAddresses[index], true, false, false, false};
  if (variable.isExtern) {
    externSharedAlign = std::max<uint32_t>(externSharedAlign, static_cast<uint32_t>(variable.align));
    return {Space::shared, 0, true, false, true, false};
  }
  const auto [entry, isNew] = moduleShared.try_emplace(index, 0);
  if (isNew) {
    sharedEnd = roundUp(sharedEnd, variable.align);
    entry->second = sharedEnd;
    sharedEnd += variable.size;
    program->sharedNames.push_back(
        {std::string(variable.name), static_cast<uint32_t>(entry->second), static_cast<uint32_t>(sharedEnd)});
  }
  return {Space::shared, entry->second, true, false, false, false};
}

uint32_t Translator::placeSlot(const Instance::Place &place, int64_t offset, unsigned bytes) {
  const uint64_t value = place.value + static_cast<uint64_t>(offset);
  if (place.inFrame) {
    const uint32_t slot = temporary(bytes);
    Instruction &in = emit(frameAddressHandler(bytes), InstructionClass::integer);
    in.d = slot;
    in.offset = static_cast<int64_t>(value);
    return slot;
  }
  if (place.space != Space::shared && !place.kernelParameter)
    return constant(value, bytes);
  using Slot = Program::AddressSlot;
  const Slot::Kind kind = place.kernelParameter ? Slot::parameter
                          : place.dynamicShared ? Slot::dynamicShared
                                                : Slot::shared;
  const uint64_t key = value << 8 | static_cast<uint64_t>(kind) << 4 | bytes;
  uint32_t &slot = addressSlots[key];
  if (!slot) {
    slot = allocate(bytes * lanesOfWarp, 64);
    program->addresses.push_back({slot, static_cast<uint8_t>(bytes), kind, value});
  }
  return slot;
}

Translator::Address Translator::address(const Operand &operand) {
  Address result;
  if (operand.kind != Operand::address || operand.parts.empty()) {
    fail("expected an address in brackets, found '{}'", operand.name);
    return result;
  }
  const Operand &base = operand.parts[0];
  result.offset = operand.offset;
  if (base.kind == Operand::variable) {
    const Instance::Place place = placeOf(base);
    result.space = place.space;
    result.kernelParameter = place.kernelParameter;
    if (place.kernelParameter) {
      result.parameterBytes = instance->function->variables[base.id].size;
      result.inParameter =
          static_cast<int64_t>(static_cast<uint64_t>(base.offset) + static_cast<uint64_t>(operand.offset));
    }
    if (place.inFrame) {
      result.slot = program->stackPointer;
      result.offset = static_cast<int64_t>(place.value + static_cast<uint64_t>(base.offset) +
                                           static_cast<uint64_t>(operand.offset));
      return result;
    }
    result.slot = placeSlot(place, base.offset, 8);
    return result;
  }
  if (base.kind == Operand::reg) {
    result.bytes = bytesOf(registerType(base));
    if (result.bytes == 4 || result.bytes == 8) {
      result.slot = registerSlot(base.id);
      return result;
    }
  } else if (base.kind == Operand::integer) {
    result.slot = constant(base.bits, 8);
    return result;
  }
  fail("expected an address, found '{}'", base.name);
  return result;
}

Result<std::unique_ptr<Program>> translate(const Module &module, const Function &entry,
                                           const VariableAddresses &addresses) {
  return Translator(module, entry, addresses).run();
}

} // namespace sinter::emulator
