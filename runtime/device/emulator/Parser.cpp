// SPDX-License-Identifier: Apache-2.0
// PTX directives and declarations (PTX ISA chapters 5 and 11) to Syntax.h.
#include "runtime/device/emulator/Parser.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sinter::emulator {

const Token &Parser::next() {
  const Token &token = peek();
  if (error.empty() && token.kind != Token::end)
    ++at;
  return token;
}

bool Parser::accept(char character) {
  if (!peek().is(character))
    return false;
  next();
  return true;
}

bool Parser::acceptDotted(std::string_view name) {
  if (!peek().isDotted(name))
    return false;
  next();
  return true;
}

void Parser::failAt(const Token &token, std::string_view expected) {
  if (!error.empty())
    return;
  const std::string_view found =
      token.kind == Token::end ? std::string_view("the end of the file") : token.text;
  error = fmt::format("line {}: expected {}, found '{}{}'", token.line, expected,
                      token.kind == Token::dotted ? "." : "", found);
}

Parser::Nesting::Nesting(Parser &parser) : parser(parser) {
  if (++parser.nesting > 64)
    parser.failAt(parser.peek(), "at most 64 levels of operands or values");
}

void Parser::expect(char character) {
  if (!accept(character))
    failAt(peek(), std::string("'") + character + "'");
}

std::string_view Parser::expectName() {
  if (peek().kind != Token::identifier) {
    failAt(peek(), "a name");
    return {};
  }
  return next().text;
}

uint64_t Parser::expectInteger() {
  if (peek().kind != Token::integer) {
    failAt(peek(), "an integer");
    return 0;
  }
  return next().bits;
}

void Parser::skipLine(uint32_t line) {
  while (peek().kind != Token::end && peek().line == line)
    next();
}

Result<> Parser::run() {
  while (peek().kind != Token::end)
    directive();
  if (!error.empty())
    return tl::unexpected<Error>(Error{error});
  if (!module.version)
    return fail("expected PTX text (a .version directive), found none");
  return {};
}

void Parser::directive() {
  const Token first = next();
  if (first.kind != Token::dotted) {
    failAt(first, "a directive such as .version, .global or .entry");
    return;
  }
  if (first.text == "version") {
    const Token &version = next(); // 8.7 reads as a real number
    if (version.kind != Token::real)
      return failAt(version, "a version such as 8.7");
    const double number = std::bit_cast<double>(version.bits);
    if (!(number < 1000))
      return failAt(version, "a version such as 8.7");
    module.version = static_cast<unsigned>(number * 10 + 0.5);
    return;
  }
  if (first.text == "target") {
    module.target = expectName();
    while (accept(','))
      next();
    return;
  }
  if (first.text == "address_size") {
    if (const uint64_t size = expectInteger(); size != 64)
      failAt(first, fmt::format(".address_size 64 (found {})", size));
    return;
  }
  if (first.text == "file" || first.text == "loc" || first.text == "pragma")
    return skipLine(first.line);
  if (first.text == "section") { // DWARF: balanced braces
    while (peek().kind != Token::end && !peek().is('{'))
      next();
    for (int depth = 0; peek().kind != Token::end;) {
      const Token &token = next();
      depth += token.is('{') - token.is('}');
      if (!depth)
        return;
    }
    return;
  }
  bool isExtern = false;
  Token token = first;
  while (token.kind == Token::dotted && (token.text == "visible" || token.text == "weak" ||
                                         token.text == "extern" || token.text == "common")) {
    isExtern |= token.text == "extern";
    token = next();
  }
  if (token.text == "entry" || token.text == "func")
    return functionDeclaration(token.text == "entry");
  if (token.text == "global")
    return variableDeclaration(Space::global, isExtern);
  if (token.text == "const")
    return variableDeclaration(Space::constant, isExtern);
  if (token.text == "shared")
    return variableDeclaration(Space::shared, isExtern);
  failAt(token, "a directive this emulator knows");
}

constexpr uint64_t largestVariable = 1ull << 40; // bytes

/// What follows the state space: [.attribute] [.align n] .type name [dims] [= value].
Variable Parser::declarator(Space space, bool isExtern) {
  Variable variable;
  variable.space = space;
  variable.isExtern = isExtern;
  variable.line = peek().line;
  Type type = Type::none;
  uint64_t align = 0, lanes = 1;
  while (peek().kind == Token::dotted) {
    const Token &token = next();
    if (token.text == "align") {
      align = expectInteger();
    } else if (token.text == "attribute") {
      expect('(');
      for (int depth = 1; depth && peek().kind != Token::end;) {
        const Token &inner = next();
        depth += inner.is('(') - inner.is(')');
      }
    } else if (token.text == "v2" || token.text == "v4") {
      lanes = token.text == "v2" ? 2 : 4;
    } else if (const std::optional<Type> named = typeNamed(token.text)) {
      type = *named;
    } else if (token.text != "ptr" && token.text != "global" && token.text != "shared" &&
               token.text != "const" && token.text != "local" && token.text != "generic" &&
               token.text != "noalias") {
      failAt(token, "a type, .align or .ptr");
    }
  }
  if (!bytesOf(type))
    failAt(peek(), "a type of at least a byte");
  variable.name = expectName();
  const uint64_t element = bytesOf(type) * lanes;
  variable.size = element;
  for (; accept('['); expect(']')) {
    variable.isArray = true;
    const uint64_t count = peek().is(']') ? 0 : expectInteger();
    if (count && variable.size > largestVariable / count)
      failAt(peek(), "a variable of at most 1 TiB");
    variable.size *= count;
  }
  if (align > (1u << 20) || (align && !std::has_single_bit(align)))
    failAt(peek(), "an alignment that is a power of two");
  variable.align = std::max<uint64_t>(align ? align : element, 1);
  if (accept('='))
    initializer(variable, bytesOf(type));
  return variable;
}

void Parser::initializer(Variable &variable, unsigned elementBytes) {
  if (variable.space != Space::global && variable.space != Space::constant)
    return failAt(peek(), "initial values of .global and .const variables only");
  uint64_t offset = 0;
  initialValue(variable, elementBytes, offset);
  if (!variable.size)
    variable.size = variable.initial.size();
  if (variable.initial.size() > variable.size)
    failAt(peek(), fmt::format("at most {} bytes of initial values", variable.size));
}

void Parser::initialValue(Variable &variable, unsigned elementBytes, uint64_t &offset) {
  const Nesting level(*this);
  if (accept('{')) {
    while (!peek().is('}') && peek().kind != Token::end) {
      initialValue(variable, elementBytes, offset);
      if (!accept(','))
        break;
    }
    return expect('}');
  }
  if (variable.initial.size() < offset + elementBytes)
    variable.initial.resize(offset + elementBytes);
  uint64_t bits = 0;
  if (peek().kind == Token::identifier) { // an address: name, name+8, generic(name)+8
    Variable::Relocation relocation{offset, next().text, 0, false};
    if (relocation.symbol == "generic") {
      expect('(');
      relocation.symbol = expectName();
      relocation.generic = true;
      expect(')');
    }
    if (accept('+')) {
      uint64_t addend = 0;
      if (!integerValue(addend))
        failAt(peek(), "an integer");
      relocation.addend = static_cast<int64_t>(addend);
    }
    if (elementBytes != 8)
      failAt(peek(), "addresses in elements of 64 bits");
    variable.relocations.push_back(relocation);
  } else if (peek().kind == Token::single || peek().kind == Token::real) {
    const Token &token = next();
    bits = token.bits;
    if (token.kind == Token::real && elementBytes == 4)
      bits = std::bit_cast<uint32_t>(static_cast<float>(std::bit_cast<double>(bits)));
    if (token.kind == Token::single && elementBytes == 8)
      bits = std::bit_cast<uint64_t>(static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits))));
  } else if (!integerValue(bits)) {
    return failAt(peek(), "an initial value");
  }
  std::memcpy(variable.initial.data() + offset, &bits, std::min(elementBytes, 8u));
  offset += elementBytes;
}

bool Parser::integerValue(uint64_t &value) {
  const bool minus = accept('-');
  const bool inverted = !minus && accept('~');
  if (peek().kind != Token::integer)
    return false;
  value = next().bits;
  value = minus ? -value : inverted ? ~value : value;
  return true;
}

void Parser::variableDeclaration(Space space, bool isExtern) {
  // .shared::cta and .global .attribute(...) start like this, too.
  do {
    Variable variable = declarator(space, isExtern);
    if (module.variableNames.contains(variable.name) && !isExtern)
      failAt(peek(), fmt::format("one declaration of '{}'", variable.name));
    module.variableNames[variable.name] = static_cast<int32_t>(module.variables.size());
    module.variables.push_back(std::move(variable));
  } while (accept(','));
  expect(';');
}

std::array<uint32_t, 3> Parser::dimensions() {
  std::array<uint32_t, 3> dims{1, 1, 1};
  for (uint32_t &dim : dims) {
    dim = static_cast<uint32_t>(expectInteger());
    if (!accept(','))
      break;
  }
  return dims;
}

void Parser::performanceDirectives() {
  while (peek().kind == Token::dotted) {
    const Token &token = next();
    if (token.text == "reqntid")
      function->requiredThreads = dimensions();
    else if (token.text == "maxntid")
      function->maxThreads = dimensions();
    else if (token.text == "reqnctapercluster")
      function->requiredCluster = dimensions();
    else if (token.text == "maxnreg")
      function->maxRegisters = static_cast<uint32_t>(expectInteger());
    else if (token.text == "minnctapersm")
      function->minBlocks = static_cast<uint32_t>(expectInteger());
    else if (token.text == "maxnctapersm" || token.text == "maxclusterrank" ||
             token.text == "blocksareclusters")
      (void)(peek().kind == Token::integer && expectInteger());
    else if (token.text == "pragma")
      while (peek().kind != Token::end && !accept(';'))
        next();
    else if (token.text != "explicitcluster" && token.text != "noreturn")
      failAt(token, "a performance directive such as .reqntid");
  }
}

void Parser::formals(std::vector<int32_t> &list) {
  expect('(');
  while (!peek().is(')') && peek().kind != Token::end) {
    if (!acceptDotted("param")) {
      failAt(peek(), ".param");
      return;
    }
    Variable variable = declarator(Space::param, false);
    const auto index = static_cast<int32_t>(function->variables.size());
    scopes.back().variables[variable.name] = index;
    list.push_back(index);
    function->variables.push_back(std::move(variable));
    if (!accept(','))
      break;
  }
  expect(')');
}

void Parser::functionDeclaration(bool isEntry) {
  Function parsed;
  function = &parsed;
  scopes.assign(1, {});
  parsed.isEntry = isEntry;
  parsed.line = peek().line;
  if (peek().is('('))
    formals(parsed.results);
  parsed.name = expectName();
  if (peek().is('('))
    formals(parsed.parameters);
  performanceDirectives();
  // Known under its name before its body, which may call it.
  const auto [entry, isNew] =
      module.functionNames.try_emplace(parsed.name, static_cast<int32_t>(module.functions.size()));
  const int32_t index = entry->second;
  if (isNew)
    module.functions.emplace_back().name = parsed.name;
  if (!accept(';')) {
    if (module.functions[index].hasBody)
      failAt(peek(), fmt::format("one definition of '{}'", parsed.name));
    parsed.hasBody = true;
    expect('{');
    body();
    accept(';');
  }
  if (parsed.hasBody || !module.functions[index].hasBody)
    module.functions[index] = std::move(parsed);
  function = nullptr;
}

Result<Module> parseModule(std::string_view text) {
  Module module;
  module.source = std::make_unique<std::string>(text);
  Result<std::vector<Token>> tokens = tokenize(*module.source);
  if (!tokens)
    return tl::unexpected<Error>(tokens.error());
  if (Result<> parsed = Parser(module, std::move(*tokens)).run(); !parsed)
    return tl::unexpected<Error>(parsed.error());
  return module;
}

} // namespace sinter::emulator
