// SPDX-License-Identifier: Apache-2.0
// What the families of instructions see while a statement is translated: its modifiers and operands, and ways
// to turn operands into slots of the warp's frame.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_TRANSLATOR_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_TRANSLATOR_H

#include "runtime/device/emulator/Floats.h"
#include "runtime/device/emulator/MultiplyAdds.h"
#include "runtime/device/emulator/WgmmaFences.h"
#include <initializer_list>
#include <set>
#include <span>
#include <unordered_map>

namespace sinter::emulator {

class Translator;

/// One base opcode (`ld`, `add`) and what translates its statements.
struct Opcode {
  std::string_view name;
  void (*translate)(Translator &);
};

class Translator {
public:
  Translator(const Module &module, const Function &entry, const VariableAddresses &addresses);
  Result<std::unique_ptr<Program>> run();

  // --- for the families of instructions ---

  /// Takes the modifier out of the list if it is there.
  bool take(std::string_view modifier);
  /// The first of `names` that is there, else -1.
  int takeOneOf(std::initializer_list<std::string_view> names);
  /// The first type among the modifiers; none if there is none left.
  Type takeType();
  /// The same; no type is an error.
  Type needType();
  Rounding rounding(Rounding otherwise);
  const std::vector<std::string_view> &modifiers() const { return left; }

  size_t operandCount() const { return statement->operands.size(); }
  const Operand &operand(size_t index);
  /// A slot that holds the operand as `type`; registers of other widths are converted first, as PTX ISA 9.4.1
  /// allows.
  uint32_t source(const Operand &operand, Type type);
  uint32_t source(size_t index, Type type) { return source(operand(index), type); }
  /// A slot for a result of `type`; what is wider than the type is extended after the statement's
  /// instruction.
  uint32_t target(const Operand &operand, Type type);
  uint32_t target(size_t index, Type type) { return target(operand(index), type); }
  /// A slot of 32 bits, one a lane; 0 and 1 and negation are allowed.
  uint32_t predicate(const Operand &operand);
  uint32_t predicateTarget(const Operand &operand);
  /// The second register of `d|p`, or slot 0.
  uint32_t pairTarget(const Operand &operand, Type type = Type::pred);
  /// Slot of a value that all lanes share.
  uint32_t constant(uint64_t bits, unsigned bytes);
  uint32_t special(Special which);
  /// Of bytes a lane; 0: of a predicate.
  uint32_t temporary(unsigned bytesOfLane) { return allocateLocal(bytesOfLane); }
  /// The carry flag that add.cc writes and addc reads: 32 bits a lane.
  uint32_t carry() { return carrySlot ? carrySlot : carrySlot = allocate(4 * lanesOfWarp, 64); }
  bool immediate(const Operand &operand, uint64_t &value) const;
  Type registerType(const Operand &operand) const;

  /// The base of an address operand in `in.a` (64 bits a lane unless `in.extra` is 4), the rest in
  /// `in.offset`; true when the base is the kernel's parameters.
  struct Address {
    uint32_t slot = 0;
    unsigned bytes = 8;
    int64_t offset = 0;
    Space space = Space::generic; // what the named variable's space is; generic for registers
    bool kernelParameter = false;
    uint64_t parameterBytes = 0; // of that parameter
    int64_t inParameter = 0;     // where in it the address is
  };
  Address address(const Operand &operand);

  Instruction &emit(Handlers handlers, InstructionClass kind);
  Instruction &emit(Handler handler, InstructionClass kind) { return emit(Handlers{handler, handler}, kind); }
  /// Stores registers into Program::lists and gives their place.
  void list(Instruction &in, const std::vector<uint32_t> &slots);
  /// Keeps a family's own description of an instruction alive with the program.
  template <typename T> const T *keep(T value) {
    auto owned = std::make_shared<T>(std::move(value));
    program->details.push_back(owned);
    return owned.get();
  }

  template <typename... Args> void fail(fmt::format_string<Args...> text, Args &&...args) {
    failWith(fmt::format(text, std::forward<Args>(args)...));
  }
  bool failed() const { return !error.empty(); }
  std::string spelling() const; // "ld.global.v4.b32"

  /// Control flow needs to know where it is.
  void branch(const Operand &label, bool uniform);
  void branchTable(const Operand &index, const Operand &table);
  void call();
  void leaveFunction();
  /// Not the kernel itself.
  bool isFunction() const { return instance->caller || instance->callee >= 0; }

private:
  /// Slots of registers that calls at one depth have given back, by what a lane has: bytes, or 0 for a
  /// predicate.
  using Pool = std::unordered_map<unsigned, std::vector<uint32_t>>;
  /// A function's body as inlined once: its own registers, variables and labels.
  struct Instance {
    const Function *function;
    Instance *caller = nullptr;
    int32_t callee = -1;         // whose frame its variables are in; -1: the kernel's
    std::vector<uint32_t> slots; // of registers; 0: none yet
    struct Place {
      Space space;
      uint64_t value;
      bool known, kernelParameter, dynamicShared;
      bool inFrame; // of the activation (CallStack.h); `value` is where in it
    };
    std::vector<Place> places;                         // of variables
    Pool taken;                                        // slots of its registers
    std::vector<int32_t> starts;                       // statement -> first instruction
    std::vector<std::pair<uint32_t, int32_t>> returns; // instructions that jump to the end
  };

  void function(Instance &instance);
  // OutOfLine.cpp
  void findOutOfLine();
  void translateCallees();
  void stackCall(int32_t id, uint32_t address, const Operand *results, const Operand *arguments,
                 const Operand *targets);
  void translateStatement(const Statement &statement);
  void layoutParameters(Instance &instance);
  void placeVariable(Instance &instance, int32_t index);
  Instance::Place placeOf(const Operand &operand);
  uint32_t registerSlot(int32_t id);
  uint32_t allocate(unsigned bytes, unsigned align);
  uint32_t allocateLocal(unsigned bytesOfLane);
  uint32_t placeSlot(const Instance::Place &place, int64_t offset, unsigned bytes);
  void failWith(std::string text);
  void finishStatement();
  void keepWrites();
  Mentions mentionsOfSlots() const;

  const Module &module;
  const Function &entry;
  const VariableAddresses &variableAddresses;
  std::unique_ptr<Program> program;
  Instance *instance = nullptr;
  const Statement *statement = nullptr;
  std::vector<std::string_view> left;
  struct Extension {
    uint32_t from, to;
    Type type;
    unsigned toBytes;
  };
  std::vector<Extension> extensions;
  bool hasWgmma = false;                               // the module: then writes of registers are kept
  std::vector<uint32_t> written;                       // slots of registers, by the statement
  std::vector<RegisterWrite> writes;                   // of the program
  std::unordered_map<uint64_t, uint32_t> constants[9]; // by bytes of a lane
  std::unordered_map<uint32_t, uint32_t> specialSlots;
  std::unordered_map<uint64_t, uint32_t> addressSlots;
  std::vector<std::pair<uint32_t, std::vector<uint8_t>>> images; // slot, bytes
  struct Fixup {
    uint32_t instruction;
    Instance *instance;
    int32_t statement;
    int32_t tableEntry;
  };
  std::vector<Fixup> fixups;
  std::vector<std::unique_ptr<Instance>> instances;
  std::vector<Pool> pools;                      // by the depth of calls
  std::unordered_map<int32_t, int32_t> callees; // functions that are not inlined -> Program::callees
  std::vector<int32_t> calleeFunctions;         // the other way
  std::set<int32_t> recursive;                  // those of them that are called so by name
  uint32_t frameEnd = 0, predicateNext = 0, predicateEnd = 0;
  uint32_t externSharedAlign = 16, carrySlot = 0;
  uint64_t sharedEnd = 0;
  std::unordered_map<int32_t, uint64_t> moduleShared; // placed on first use
  std::string error;
  size_t depth = 0; // of calls, the entry counted
};

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_TRANSLATOR_H
