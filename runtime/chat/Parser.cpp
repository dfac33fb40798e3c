// SPDX-License-Identifier: Apache-2.0
// Statements.
#include "runtime/chat/Parser.h"
#include "runtime/chat/ExpressionParser.h"
#include <algorithm>
#include <fmt/format.h>

namespace sinter::chat {

namespace {

using Kind = Statement::Kind;

class Parser : ExpressionParser {
public:
  using ExpressionParser::ExpressionParser;
  Body parseAll();

private:
  using Ends = std::initializer_list<std::string_view>;
  Body parseBody(Ends ends);
  void parseStatement(Body &body);
  void parseIf(Body &body);
  void parseFor(Body &body);
  void parseSet(Body &body);
  void parseMacro(Body &body);
  void parseCall(Body &body);
  void parseFilterBlock(Body &body);
  void parseWith(Body &body);
  void parseParameters(Statement &statement);
  Statement start(Kind kind, int line) const { return {kind, line, {}, nullptr, {}, {}, {}}; }
  void endBlock();
  int loops = 0; // loops around this place
};

void Parser::endBlock() {
  if (peek().kind != Token::Kind::BlockEnd)
    fail(fmt::format("expected '%}}', found {}", found()));
  next();
}

Body Parser::parseAll() {
  Body body = parseBody({});
  if (peek().kind != Token::Kind::End)
    fail(fmt::format("expected a statement, found {}", found()));
  return body;
}

/// Statements up to a block that begins with one of `ends`, whose name is then current.
Body Parser::parseBody(Ends ends) {
  const Nesting nesting(*this);
  Body body;
  while (true) {
    switch (peek().kind) {
    case Token::Kind::End:
      if (ends.size())
        fail(fmt::format("expected {{% {} %}}, found the template's end", *ends.begin()));
      return body;
    case Token::Kind::Data:
      body.push_back(start(Kind::Text, peek().line));
      body.back().name = next().text;
      break;
    case Token::Kind::VariableBegin: {
      const int line = next().line;
      body.push_back(start(Kind::Output, line));
      body.back().expressions.push_back(parseTuple());
      if (peek().kind != Token::Kind::VariableEnd)
        fail(fmt::format("expected '}}}}', found {}", found()));
      next();
      break;
    }
    case Token::Kind::BlockBegin:
      next();
      if (std::any_of(ends.begin(), ends.end(), [&](std::string_view each) { return atName(each); }))
        return body;
      parseStatement(body);
      break;
    default:
      fail(fmt::format("expected a statement, found {}", found()));
    }
  }
}

void Parser::parseStatement(Body &body) {
  if (peek().kind != Token::Kind::Name)
    fail(fmt::format("expected a statement's name, found {}", found()));
  const std::string name = peek().text;
  const int line = peek().line;
  if (name == "if")
    return parseIf(body);
  if (name == "for")
    return parseFor(body);
  if (name == "set")
    return parseSet(body);
  if (name == "macro")
    return parseMacro(body);
  if (name == "call")
    return parseCall(body);
  if (name == "filter")
    return parseFilterBlock(body);
  if (name == "with")
    return parseWith(body);
  if (name == "generation") {
    next();
    endBlock();
    Statement statement = start(Kind::Scope, line);
    statement.bodies.push_back(parseBody({"endgeneration"}));
    next();
    endBlock();
    body.push_back(std::move(statement));
    return;
  }
  if (name == "break" || name == "continue") {
    if (loops == 0)
      fail(fmt::format("expected '{}' inside a loop", name));
    next();
    endBlock();
    body.push_back(start(name == "break" ? Kind::Break : Kind::Continue, line));
    return;
  }
  for (const char *known :
       {"block", "extends", "include", "import", "from", "autoescape", "print", "do", "trans", "debug"})
    if (name == known)
      fail(fmt::format("the statement '{}' is not supported", name));
  fail(fmt::format("expected a statement, found '{}'", name));
}

void Parser::parseIf(Body &body) {
  Statement statement = start(Kind::If, next().line);
  while (true) {
    statement.expressions.push_back(parseTuple(false));
    endBlock();
    statement.bodies.push_back(parseBody({"endif", "elif", "else"}));
    const std::string end = next().text;
    if (end == "elif")
      continue;
    if (end == "else") {
      endBlock();
      statement.bodies.push_back(parseBody({"endif"}));
      next();
    }
    endBlock();
    body.push_back(std::move(statement));
    return;
  }
}

void Parser::parseFor(Body &body) {
  Statement statement = start(Kind::For, next().line);
  statement.target = parseTarget({"in"}, false);
  if (!skipName("in"))
    fail(fmt::format("expected 'in', found {}", found()));
  statement.expressions.push_back(parseTuple(false, {"recursive"}));
  statement.expressions.push_back(skipName("if") ? parseExpression() : nullptr);
  if (atName("recursive"))
    fail("recursive loops are not supported");
  endBlock();
  ++loops;
  statement.bodies.push_back(parseBody({"endfor", "else"}));
  --loops;
  if (next().text == "else") {
    endBlock();
    statement.bodies.push_back(parseBody({"endfor"}));
    next();
  }
  endBlock();
  body.push_back(std::move(statement));
}

void Parser::parseSet(Body &body) {
  Statement statement = start(Kind::Set, next().line);
  statement.target = parseTarget({"="}, true);
  if (skipOperator("=")) {
    statement.expressions.push_back(parseTuple());
    endBlock();
  } else {
    statement.kind = Kind::SetBlock;
    statement.expressions.push_back(atOperator("|") ? parseFilters(nullptr, false) : nullptr);
    endBlock();
    statement.bodies.push_back(parseBody({"endset"}));
    next();
    endBlock();
  }
  body.push_back(std::move(statement));
}

/// (a, b=1), maybe empty.
void Parser::parseParameters(Statement &statement) {
  expectOperator("(");
  while (!atOperator(")")) {
    if (!statement.parameters.empty())
      expectOperator(",");
    Parameter parameter;
    parameter.name = expectName("a parameter's name");
    if (skipOperator("="))
      parameter.standard = parseExpression();
    else if (!statement.parameters.empty() && statement.parameters.back().standard)
      fail("expected a default value, as the parameter before has one");
    statement.parameters.push_back(std::move(parameter));
  }
  expectOperator(")");
}

void Parser::parseMacro(Body &body) {
  Statement statement = start(Kind::Macro, next().line);
  statement.name = expectName("a macro's name");
  parseParameters(statement);
  endBlock();
  const int outer = std::exchange(loops, 0);
  statement.bodies.push_back(parseBody({"endmacro"}));
  loops = outer;
  next();
  if (peek().kind == Token::Kind::Name)
    next(); // {% endmacro name %}
  endBlock();
  body.push_back(std::move(statement));
}

void Parser::parseCall(Body &body) {
  Statement statement = start(Kind::CallBlock, next().line);
  if (atOperator("("))
    parseParameters(statement);
  statement.expressions.push_back(parseExpression());
  if (statement.expressions[0]->kind != Expression::Kind::Call)
    fail("expected a call");
  endBlock();
  const int outer = std::exchange(loops, 0);
  statement.bodies.push_back(parseBody({"endcall"}));
  loops = outer;
  next();
  endBlock();
  body.push_back(std::move(statement));
}

void Parser::parseFilterBlock(Body &body) {
  Statement statement = start(Kind::Filter, next().line);
  statement.expressions.push_back(parseFilters(nullptr, true));
  endBlock();
  statement.bodies.push_back(parseBody({"endfilter"}));
  next();
  endBlock();
  body.push_back(std::move(statement));
}

void Parser::parseWith(Body &body) {
  Statement statement = start(Kind::With, next().line);
  while (peek().kind != Token::Kind::BlockEnd) {
    if (!statement.parameters.empty())
      expectOperator(",");
    Parameter parameter;
    parameter.name = expectName("a name to assign to");
    expectOperator("=");
    parameter.standard = parseExpression();
    statement.parameters.push_back(std::move(parameter));
  }
  endBlock();
  statement.bodies.push_back(parseBody({"endwith"}));
  next();
  endBlock();
  body.push_back(std::move(statement));
}

} // namespace

Body parseTemplate(std::string_view source) { return Parser(tokenize(source)).parseAll(); }

} // namespace sinter::chat
