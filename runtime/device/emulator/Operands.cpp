// SPDX-License-Identifier: Apache-2.0
// The translator's view of a statement: modifiers are taken one by one, operands become slots of the warp's
// frame.
#include "runtime/device/emulator/Calls.h"
#include "runtime/device/emulator/Lanes.h"
#include "runtime/device/emulator/Translator.h"

#include <algorithm>

namespace sinter::emulator {

// --- modifiers ---

bool Translator::take(std::string_view modifier) {
  const auto found = std::find(left.begin(), left.end(), modifier);
  if (found == left.end())
    return false;
  left.erase(found);
  return true;
}

int Translator::takeOneOf(std::initializer_list<std::string_view> names) {
  int index = 0;
  for (const std::string_view name : names) {
    if (take(name))
      return index;
    ++index;
  }
  return -1;
}

Type Translator::takeType() {
  for (auto at = left.begin(); at != left.end(); ++at)
    if (const std::optional<Type> type = typeNamed(*at)) {
      left.erase(at);
      return *type;
    }
  return Type::none;
}

Type Translator::needType() {
  const Type type = takeType();
  if (type == Type::none)
    fail("expected a type among the modifiers");
  return type;
}

Rounding Translator::rounding(Rounding otherwise) {
  switch (takeOneOf({"rn", "rz", "rm", "rp", "rna"})) {
  case 0:
    return Rounding::nearest;
  case 1:
    return Rounding::zero;
  case 2:
    return Rounding::down;
  case 3:
    return Rounding::up;
  case 4:
    return Rounding::away;
  default:
    return otherwise;
  }
}

// --- operands ---

const Operand &Translator::operand(size_t index) {
  static const Operand nothing;
  if (index < statement->operands.size())
    return statement->operands[index];
  fail("expected at least {} operands, found {}", index + 1, statement->operands.size());
  return nothing;
}

uint32_t Translator::registerSlot(int32_t id) {
  uint32_t &slot = instance->slots[id];
  if (slot)
    return slot;
  const Type type = instance->function->registers[id].type;
  return slot = allocateLocal(type == Type::pred ? 0 : bytesOf(type));
}

Type Translator::registerType(const Operand &operand) const {
  return operand.kind == Operand::reg ? instance->function->registers[operand.id].type : Type::none;
}

uint32_t Translator::constant(uint64_t bits, unsigned bytes) {
  if (bytes < 8)
    bits &= (1ull << bytes * 8) - 1;
  uint32_t &slot = constants[bytes][bits];
  if (!slot) {
    slot = allocate(bytes * lanesOfWarp, 64);
    std::vector<uint8_t> image(bytes * lanesOfWarp);
    for (int lane = 0; lane < lanesOfWarp; ++lane)
      std::copy_n(reinterpret_cast<const uint8_t *>(&bits), bytes,
                  image.begin() + lane * bytes); // bytes may be 0
    images.emplace_back(slot, std::move(image));
  }
  return slot;
}

uint32_t Translator::special(Special which) {
  uint32_t &slot = specialSlots[static_cast<uint32_t>(which)];
  if (!slot) {
    slot = allocate(4 * lanesOfWarp, 64);
    program->specials.push_back({slot, which});
  }
  return slot;
}

bool Translator::immediate(const Operand &operand, uint64_t &value) const {
  value = operand.bits;
  return operand.kind == Operand::integer || operand.kind == Operand::single || operand.kind == Operand::real;
}

uint32_t Translator::source(const Operand &operand, Type type) {
  const unsigned bytes = bytesOf(type);
  switch (operand.kind) {
  case Operand::reg: {
    const Type declared = registerType(operand);
    if (declared == Type::pred) {
      fail("expected a register of {} bytes, found predicate {}", bytes, operand.name);
      return 0;
    }
    if (bytesOf(declared) == bytes)
      return registerSlot(operand.id);
    if (bytesOf(declared) < bytes || bytes > 8) {
      fail("expected a register of {} bytes, found {} of {}", bytes, operand.name, bytesOf(declared));
      return 0;
    }
    const uint32_t from = registerSlot(operand.id);
    Instruction &in = emit(resize(bytesOf(declared), bytes, false), InstructionClass::move);
    in.a = from;
    return program->code.back().d = temporary(bytes);
  }
  case Operand::function:
    if (bytes == 8)
      return constant(functionAddress(operand.id), 8);
    break;
  case Operand::integer: {
    if (bytes <= 8)
      return constant(operand.bits, bytes);
    break;
  }
  case Operand::single:
  case Operand::real: {
    const double value = operand.kind == Operand::real
                             ? std::bit_cast<double>(operand.bits)
                             : std::bit_cast<float>(static_cast<uint32_t>(operand.bits));
    if (bytes == 8)
      return constant(std::bit_cast<uint64_t>(value), 8);
    if (bytes == 4)
      return constant(operand.kind == Operand::single ? operand.bits
                                                      : std::bit_cast<uint32_t>(static_cast<float>(value)),
                      4);
    break;
  }
  case Operand::special: {
    const SpecialSource found = specialRegister(*this, operand.name);
    if (!found.slot) {
      fail("unknown special register {}", operand.name);
      return 0;
    }
    if (found.bytes == bytes)
      return found.slot;
    Instruction &in = emit(resize(found.bytes, bytes, false), InstructionClass::move);
    in.a = found.slot;
    return program->code.back().d = temporary(bytes);
  }
  case Operand::variable: {
    const Instance::Place place = placeOf(operand);
    if (bytes == 4 || bytes == 8)
      return placeSlot(place, operand.offset, bytes);
    break;
  }
  default:
    break;
  }
  fail("expected an operand of type .{}, found '{}'", nameOf(type), operand.name);
  return 0;
}

uint32_t Translator::target(const Operand &operand, Type type) {
  const unsigned bytes = bytesOf(type);
  if (operand.kind == Operand::sink)
    return 0;
  if (operand.kind != Operand::reg || registerType(operand) == Type::pred) {
    fail("expected a register of type .{}, found '{}'", nameOf(type), operand.name);
    return 0;
  }
  const unsigned declared = bytesOf(registerType(operand));
  const uint32_t slot = registerSlot(operand.id);
  if (hasWgmma)
    written.push_back(slot);
  if (declared == bytes)
    return slot;
  if (declared < bytes) {
    fail("expected a register of {} bytes, found {} of {}", bytes, operand.name, declared);
    return 0;
  }
  extensions.push_back({temporary(bytes), slot, type, declared});
  return extensions.back().from;
}

uint32_t Translator::predicate(const Operand &operand) {
  if (operand.kind == Operand::integer) {
    const Mask value = (operand.bits != 0) != operand.negated ? allLanes : 0;
    uint32_t &slot = constants[0][value];
    if (!slot) {
      slot = allocate(64, 64);
      std::vector<uint8_t> image(4, value ? 0xff : 0);
      images.emplace_back(slot, image);
    }
    return slot;
  }
  if (operand.kind != Operand::reg || registerType(operand) != Type::pred) {
    fail("expected a predicate, found '{}'", operand.name);
    return 0;
  }
  const uint32_t slot = registerSlot(operand.id);
  if (!operand.negated)
    return slot;
  Instruction &in = emit(
      +[](Warp &warp, const Instruction &in) { writePredicate(warp, in.d, ~warp.predicate(in.a)); },
      InstructionClass::predicate);
  in.a = slot;
  return program->code.back().d = temporary(0);
}

uint32_t Translator::predicateTarget(const Operand &operand) {
  if (operand.kind == Operand::sink)
    return 0;
  if (operand.kind != Operand::reg || registerType(operand) != Type::pred) {
    fail("expected a predicate, found '{}'", operand.name);
    return 0;
  }
  return registerSlot(operand.id);
}

uint32_t Translator::pairTarget(const Operand &operand, Type type) {
  if (operand.pair < 0)
    return 0;
  Operand second;
  second.kind = Operand::reg;
  second.id = operand.pair;
  second.name = instance->function->registers[operand.pair].name;
  return type == Type::pred ? predicateTarget(second) : target(second, type);
}

} // namespace sinter::emulator
