// SPDX-License-Identifier: Apache-2.0
// Bodies of PTX functions: nested scopes, declarations of registers, labels, instructions and their operands
// (PTX ISA chapters 4.3, 6 and 9.2).
#include "runtime/device/emulator/Parser.h"

#include <algorithm>
#include <utility>

namespace sinter::emulator {

namespace {

/// Addresses wrap around, as hardware's do.
void addOffset(Operand &operand, uint64_t value) {
  operand.offset = static_cast<int64_t>(static_cast<uint64_t>(operand.offset) + value);
}

} // namespace

/// Everything after the `{` of a function, the closing brace included.
void Parser::body() {
  size_t depth = scopes.size();
  while (peek().kind != Token::end) {
    if (accept('{')) {
      scopes.emplace_back();
    } else if (accept('}')) {
      closeScope();
      if (scopes.size() < depth)
        break;
    } else {
      statement();
    }
  }
  if (scopes.size() >= depth)
    failAt(peek(), "'}'");
}

/// References to labels that the scope has not defined are its parent's.
void Parser::closeScope() {
  Scope scope = std::move(scopes.back());
  scopes.pop_back();
  for (auto &[label, ids] : scope.references) {
    if (const auto found = scope.labels.find(label); found != scope.labels.end()) {
      for (const int32_t id : ids)
        function->targets[id] = found->second;
    } else if (scopes.empty()) {
      if (error.empty())
        error = fmt::format("line {}: expected a register, variable, function or label, found '{}'",
                            1 + std::count(std::as_const(*module.source).data(), label.data(), '\n'), label);
    } else {
      std::vector<int32_t> &outer = scopes.back().references[label];
      outer.insert(outer.end(), ids.begin(), ids.end());
    }
  }
}

/// .reg .b32 %r<100>, %x; -- %r<100> declares %r0 to %r99.
void Parser::registerDeclaration() {
  const Token &token = next();
  const std::optional<Type> type = token.kind == Token::dotted ? typeNamed(token.text) : std::nullopt;
  if (!type || !bytesOf(*type))
    return failAt(token, "the type of registers");
  do {
    const std::string_view name = expectName();
    if (!accept('<')) {
      scopes.back().registers[name] = static_cast<int32_t>(function->registers.size());
      function->registers.push_back({std::string(name), *type});
      continue;
    }
    const uint64_t count = expectInteger();
    expect('>');
    if (count + function->registers.size() > 1u << 20)
      return failAt(peek(), "at most 1048576 registers in a function");
    // Only the bare name is entered; name() finds %r17 by its digits.
    scopes.back().registers[name] = static_cast<int32_t>(function->registers.size());
    for (uint64_t i = 0; i < count; ++i)
      function->registers.push_back({std::string(name) + std::to_string(i), *type});
    scopes.back().ranges[name] = static_cast<int32_t>(count);
  } while (accept(','));
  expect(';');
}

void Parser::labelled() {
  const std::string_view label = next().text;
  next(); // ':'
  if (peek().isDotted("branchtargets")) {
    next();
    std::vector<int32_t> targets;
    do
      targets.push_back(labelReference(expectName()).id);
    while (accept(','));
    expect(';');
    scopes.back().variables[label] = ~static_cast<int32_t>(function->tables.size()); // see name()
    function->tables.push_back(std::move(targets));
    return;
  }
  if (peek().isDotted("callprototype") || peek().isDotted("calltargets")) {
    const bool lists = next().text == "calltargets";
    const auto table = static_cast<int32_t>(function->tables.size());
    scopes.back().variables[label] = ~table; // see name()
    function->tables.emplace_back();
    while (lists && peek().kind == Token::identifier) {
      const Token &target = next();
      const auto found = module.functionNames.find(target.text);
      if (found == module.functionNames.end())
        return failAt(target, "the name of a function");
      function->callTargets[table].push_back(found->second);
      if (!accept(','))
        break;
    }
    while (peek().kind != Token::end && !accept(';')) // sizes are those of the variables in the call
      next();
    return;
  }
  if (!scopes.back().labels.try_emplace(label, static_cast<int32_t>(function->statements.size())).second)
    failAt(peek(), fmt::format("one definition of label '{}'", label));
}

void Parser::statement() {
  if (accept(';'))
    return;
  if (peek().kind == Token::dotted) {
    const Token token = next();
    if (token.text == "loc" || token.text == "file")
      return skipLine(token.line);
    if (token.text == "pragma") {
      while (peek().kind != Token::end && !accept(';'))
        next();
      return;
    }
    if (token.text == "reg")
      return registerDeclaration();
    if (token.text == "local" || token.text == "shared" || token.text == "param" || token.text == "global" ||
        token.text == "const" || token.text == "extern") {
      const bool isExtern = token.text == "extern";
      const std::string_view spaceName = isExtern ? next().text : token.text;
      const Space space = spaceName == "local"    ? Space::local
                          : spaceName == "shared" ? Space::shared
                          : spaceName == "param"  ? Space::param
                          : spaceName == "const"  ? Space::constant
                                                  : Space::global;
      do {
        Variable variable = declarator(space, isExtern);
        scopes.back().variables[variable.name] = static_cast<int32_t>(function->variables.size());
        function->variables.push_back(std::move(variable));
      } while (accept(','));
      return expect(';');
    }
    return failAt(token, "an instruction or a declaration");
  }
  if (peek().kind == Token::identifier && peek(1).is(':'))
    return labelled();

  Statement result;
  if (accept('@')) {
    result.guardNegated = accept('!');
    const Operand guard = primary();
    if (guard.kind != Operand::reg || !guard.part.empty() || function->registers[guard.id].type != Type::pred)
      failAt(peek(), "a predicate after '@'");
    result.guard = guard.id;
  }
  result.line = peek().line;
  if (peek().kind != Token::identifier)
    return failAt(peek(), "an instruction");
  result.opcode = next().text;
  while (peek().kind == Token::dotted)
    result.modifiers.push_back(next().text);
  while (!peek().is(';') && peek().kind != Token::end) {
    result.operands.push_back(operand());
    if (!accept(','))
      break;
  }
  expect(';');
  function->statements.push_back(std::move(result));
}

Operand Parser::labelReference(std::string_view name) {
  Operand result;
  result.kind = Operand::label;
  result.name = name;
  result.id = static_cast<int32_t>(function->targets.size());
  function->targets.push_back(-1);
  scopes.back().references[name].push_back(result.id);
  return result;
}

/// %r1.h0 is one name: the two tokens touch in the source.
void Parser::takePart(Operand &operand) {
  if (peek().kind == Token::dotted && peek().text.data() == operand.name.data() + operand.name.size() + 1)
    operand.part = next().text;
}

Operand Parser::name(const Token &token) {
  Operand result;
  const std::string_view text = token.text;
  result.name = text;
  if (text == "_") {
    result.kind = Operand::sink;
    return result;
  }
  const size_t digits = text.find_last_not_of("0123456789") + 1;
  const std::string_view base = text.substr(0, digits);
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    if (const auto found = scope->registers.find(text);
        found != scope->registers.end() && !scope->ranges.contains(text)) {
      result.kind = Operand::reg;
      result.id = found->second;
      takePart(result);
      return result;
    }
    // %r17 of a declaration %r<100>; 9 digits at most, without leading zeros.
    if (digits < text.size() && text.size() - digits < 10 &&
        (text[digits] != '0' || text.size() - digits == 1)) {
      if (const auto range = scope->ranges.find(base); range != scope->ranges.end()) {
        const int32_t index = std::stoi(std::string(text.substr(digits)));
        if (index < range->second) {
          result.kind = Operand::reg;
          result.id = scope->registers.find(base)->second + index;
          takePart(result);
          return result;
        }
      }
    }
    if (const auto found = scope->variables.find(text); found != scope->variables.end()) {
      result.kind = found->second < 0 ? Operand::table : Operand::variable;
      result.id = found->second < 0 ? ~found->second : found->second;
      return result;
    }
  }
  if (const auto found = module.variableNames.find(text); found != module.variableNames.end()) {
    result.kind = Operand::variable;
    result.id = ~found->second;
    return result;
  }
  if (const auto found = module.functionNames.find(text); found != module.functionNames.end()) {
    result.kind = Operand::function;
    result.id = found->second;
    return result;
  }
  if (text[0] == '%') {
    result.kind = Operand::special;
    if (peek().kind == Token::dotted) { // %tid.x: one name, as the two tokens touch in the source
      const Token &component = next();
      result.name = {text.data(),
                     static_cast<size_t>(component.text.data() + component.text.size() - text.data())};
    }
    return result;
  }
  if (text == "WARP_SZ") {
    result.kind = Operand::integer;
    result.bits = 32;
    return result;
  }
  return labelReference(text);
}

Operand Parser::primary() {
  const Nesting level(*this);
  Operand result;
  if (accept('!')) {
    result = primary();
    result.negated = !result.negated;
    return result;
  }
  if (peek().is('-') && (peek(1).kind == Token::single || peek(1).kind == Token::real)) {
    next();
    result = primary();
    result.bits ^= result.kind == Operand::single ? 1ull << 31 : 1ull << 63;
    return result;
  }
  if (integerValue(result.bits)) {
    result.kind = Operand::integer;
    return result;
  }
  const Token token = next();
  if (token.kind == Token::single || token.kind == Token::real) {
    result.kind = token.kind == Token::single ? Operand::single : Operand::real;
    result.bits = token.bits;
    return result;
  }
  if (token.kind == Token::identifier)
    return name(token);
  failAt(token, "an operand");
  return result;
}

Operand Parser::vectorOperand(char close) {
  Operand result;
  result.kind = Operand::vector;
  while (!peek().is(close) && peek().kind != Token::end) {
    result.parts.push_back(operand());
    if (!accept(','))
      break;
  }
  expect(close);
  return result;
}

Operand Parser::addressOperand() {
  Operand result;
  result.kind = Operand::address;
  result.parts.push_back(primary());
  while (peek().is('+') || peek().is('-')) { // [a+8], [a+-16], [a-8]
    const bool minus = next().is('-');
    uint64_t value = 0;
    if (!integerValue(value)) {
      failAt(peek(), "an offset");
      break;
    }
    addOffset(result, minus ? -value : value);
  }
  while (accept(','))
    result.parts.push_back(operand());
  expect(']');
  return result;
}

Operand Parser::operand() {
  const Nesting level(*this);
  if (accept('['))
    return addressOperand();
  if (accept('{'))
    return vectorOperand('}');
  if (accept('('))
    return vectorOperand(')');
  Operand result = primary();
  if (accept('|')) {
    const Operand second = primary();
    if ((result.kind != Operand::reg && result.kind != Operand::sink) ||
        (second.kind != Operand::reg && second.kind != Operand::sink))
      failAt(peek(), "two registers around '|'");
    result.pair = second.kind == Operand::reg ? second.id : -2;
  } else if (peek().is('+') && (result.kind == Operand::variable || result.kind == Operand::integer)) {
    next(); // mov.u64 %rd1, table+16
    uint64_t value = 0;
    if (!integerValue(value))
      failAt(peek(), "an offset");
    if (result.kind == Operand::variable)
      addOffset(result, value);
    else
      result.bits += value;
  }
  return result;
}

} // namespace sinter::emulator
