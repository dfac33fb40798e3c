// SPDX-License-Identifier: Apache-2.0
// A PTX module as written, with every name resolved: registers, variables and labels are indices, so that
// inline assembly which declares the same names again in a nested scope is no concern of anybody after the
// parser.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_SYNTAX_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_SYNTAX_H

#include "runtime/Result.h"
#include "runtime/device/emulator/Types.h"
#include <array>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sinter::emulator {

struct Operand {
  enum Kind : uint8_t {
    none,
    reg,      // id: index into Function::registers; pair: second register of `d|p`
    integer,  // bits
    single,   // bits of a float
    real,     // bits of a double
    variable, // id: index into Function::variables, or ~index into Module::variables; offset
    function, // id: index into Module::functions
    label,    // id: index into Function::targets
    table,    // id: index into Function::tables (of a brx.idx)
    special,  // name, with the component: "%tid.x"
    vector,   // parts: {a, b} or (a, b)
    address,  // parts[0] + offset; further parts: [tensorMap, {x, y}]
    sink,     // _
  };
  Kind kind = none;
  bool negated = false; // !p
  int32_t id = 0;
  int32_t pair = -1; // -2: the sink
  int64_t offset = 0;
  uint64_t bits = 0;
  std::string_view name, part; // part: of a register in a video instruction, "b0", "h10"
  std::vector<Operand> parts;
};

struct Statement {
  uint32_t line = 0;
  int32_t guard = -1; // register of @p
  bool guardNegated = false;
  std::string_view opcode;
  std::vector<std::string_view> modifiers; // without dots
  std::vector<Operand> operands;
};

struct Variable {
  std::string_view name;
  Space space = Space::global;
  uint32_t line = 0;
  uint64_t align = 1, size = 0; // bytes; size 0 with `isArray`: extern shared memory, sized at the launch
  bool isExtern = false, isArray = false;
  std::vector<uint8_t> initial; // empty: zeros
  struct Relocation {
    uint64_t at; // byte of `initial` where a 64-bit address goes
    std::string_view symbol;
    int64_t addend;
    bool generic;
  };
  std::vector<Relocation> relocations;
};

struct Register {
  std::string name;
  Type type;
};

struct Function {
  std::string_view name;
  uint32_t line = 0;
  bool isEntry = false, hasBody = false;
  std::vector<int32_t> results, parameters; // indices into `variables`
  std::vector<Variable> variables;
  std::vector<Register> registers;
  std::vector<Statement> statements;
  std::vector<int32_t> targets;             // of a label operand: the statement it stands before
  std::vector<std::vector<int32_t>> tables; // of brx.idx: label operands' ids; of calls: empty
  std::unordered_map<int32_t, std::vector<int32_t>>
      callTargets;                           // of tables: functions that a .calltargets lists
  std::array<uint32_t, 3> requiredThreads{}; // .reqntid; 0: none
  std::array<uint32_t, 3> maxThreads{};      // .maxntid
  std::array<uint32_t, 3> requiredCluster{}; // .reqnctapercluster
  uint32_t maxRegisters = 0;                 // .maxnreg
  uint32_t minBlocks = 0;                    // .minnctapersm
};

struct Module {
  std::unique_ptr<std::string> source; // what every string_view points into
  unsigned version = 0;                // 87 for .version 8.7
  std::string_view target;             // sm_90a
  std::vector<Variable> variables;     // outside functions
  std::vector<Function> functions;
  std::unordered_map<std::string_view, int32_t> functionNames, variableNames;

  /// 90 of sm_90a; 0 where the target is no such name.
  uint32_t capability() const {
    uint32_t number = 0;
    if (target.starts_with("sm_"))
      std::from_chars(target.data() + 3, target.data() + target.size(), number);
    return number;
  }
};

/// Parses PTX text (PTX ISA chapter 4). Errors name the line.
Result<Module> parseModule(std::string_view text);

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_SYNTAX_H
