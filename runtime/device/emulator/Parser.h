// SPDX-License-Identifier: Apache-2.0
// The parser's parts: Parser.cpp reads directives and declarations, StatementParser.cpp the bodies of
// functions.
#ifndef SINTER_RUNTIME_DEVICE_EMULATOR_PARSER_H
#define SINTER_RUNTIME_DEVICE_EMULATOR_PARSER_H

#include "runtime/device/emulator/Lexer.h"
#include "runtime/device/emulator/Syntax.h"

namespace sinter::emulator {

class Parser {
public:
  Parser(Module &module, std::vector<Token> tokens) : module(module), tokens(std::move(tokens)) {}
  Result<> run();

protected:
  /// `ranges`: how many registers the name of %r<100> stands for. `labels`: the statement each stands before.
  /// A negative variable is the table of a .branchtargets.
  struct Scope {
    std::unordered_map<std::string_view, int32_t> registers, variables, ranges, labels;
    std::unordered_map<std::string_view, std::vector<int32_t>> references; // label operands' ids
  };

  /// A level of what contains its like; too many are an error.
  struct Nesting {
    explicit Nesting(Parser &parser);
    ~Nesting() { --parser.nesting; }
    Parser &parser;
  };

  // Tokens. After the first error every read gives `end`, so that all loops stop.
  const Token &peek(size_t ahead = 0) const {
    return error.empty() ? tokens[std::min(at + ahead, tokens.size() - 1)] : tokens.back();
  }
  const Token &next();
  bool accept(char character);
  bool acceptDotted(std::string_view name);
  void expect(char character);
  void failAt(const Token &token, std::string_view expected);
  std::string_view expectName();
  uint64_t expectInteger();
  void skipLine(uint32_t line);

  // Parser.cpp: the module.
  void directive();
  void variableDeclaration(Space space, bool isExtern);
  Variable declarator(Space space, bool isExtern);
  void initializer(Variable &variable, unsigned elementBytes);
  void initialValue(Variable &variable, unsigned elementBytes, uint64_t &offset);
  void functionDeclaration(bool isEntry);
  void formals(std::vector<int32_t> &list);
  void performanceDirectives();
  std::array<uint32_t, 3> dimensions();

  // StatementParser.cpp: bodies.
  void body();
  void closeScope();
  void registerDeclaration();
  void statement();
  void labelled();
  Operand operand();
  Operand primary();
  Operand addressOperand();
  Operand vectorOperand(char close);
  Operand name(const Token &token);
  void takePart(Operand &operand);
  Operand labelReference(std::string_view name);
  bool integerValue(uint64_t &value);

  Module &module;
  std::vector<Token> tokens;
  size_t at = 0;
  std::string error;
  Function *function = nullptr;
  std::vector<Scope> scopes;
  int nesting = 0;
};

} // namespace sinter::emulator

#endif // SINTER_RUNTIME_DEVICE_EMULATOR_PARSER_H
