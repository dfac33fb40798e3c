// SPDX-License-Identifier: Apache-2.0
// Recursive descent; from loose to tight: if-else, or, and, not, comparisons, + -, ~, * / // %, **, unary,
// then attributes, calls, filters and tests.
#include "runtime/chat/ExpressionParser.h"
#include "runtime/chat/Builtins.h"
#include <algorithm>
#include <fmt/format.h>

namespace sinter::chat {

using Kind = Expression::Kind;

namespace {
constexpr int nestingLimit = 200;
}

ExpressionParser::Nesting::Nesting(ExpressionParser &parser) : parser(parser) {
  if (++parser.depth > nestingLimit)
    parser.fail(fmt::format("expected at most {} levels of nesting", nestingLimit));
}

ExpressionPtr ExpressionParser::done(ExpressionPtr node) const {
  const auto measure = [&](const ExpressionPtr &child) {
    if (child)
      node->height = std::max(node->height, child->height + 1);
  };
  for (const ExpressionPtr &child : node->children)
    measure(child);
  for (const auto &[name, child] : node->named)
    measure(child);
  if (node->height > nestingLimit)
    fail(fmt::format("expected at most {} levels of nesting in an expression", nestingLimit));
  return node;
}

void ExpressionParser::fail(std::string message) const {
  throw TemplateError{std::move(message), peek().line};
}

std::string ExpressionParser::found() const {
  switch (peek().kind) {
  case Token::Kind::End:
    return "the template's end";
  case Token::Kind::BlockEnd:
    return "'%}'";
  case Token::Kind::VariableEnd:
    return "'}}'";
  case Token::Kind::String:
    return "a string";
  default:
    return fmt::format("'{}'", peek().text);
  }
}

void ExpressionParser::expectOperator(std::string_view text) {
  if (!skipOperator(text))
    fail(fmt::format("expected '{}', found {}", text, found()));
}

std::string ExpressionParser::expectName(const char *what) {
  if (peek().kind != Token::Kind::Name)
    fail(fmt::format("expected {}, found {}", what, found()));
  return next().text;
}

ExpressionPtr ExpressionParser::make(Kind kind) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = peek().line;
  return node;
}

ExpressionPtr ExpressionParser::parseExpression(bool conditional) {
  const Nesting nesting(*this);
  return conditional ? parseConditional() : parseOr();
}

ExpressionPtr ExpressionParser::parseConditional() {
  ExpressionPtr value = parseOr();
  while (atName("if")) {
    ExpressionPtr node = make(Kind::Conditional);
    next();
    node->children.push_back(parseOr());
    node->children.push_back(std::move(value));
    node->children.push_back(skipName("else") ? parseExpression() : nullptr);
    value = done(std::move(node));
  }
  return value;
}

ExpressionPtr ExpressionParser::parseChain(Level operand, std::initializer_list<const char *> operators) {
  ExpressionPtr left = (this->*operand)();
  const auto at = [&](const char *each) { return atOperator(each); };
  while (std::any_of(operators.begin(), operators.end(), at)) {
    ExpressionPtr node = make(Kind::Binary);
    node->name = next().text;
    node->children.push_back(std::move(left));
    node->children.push_back((this->*operand)());
    left = done(std::move(node));
  }
  return left;
}

ExpressionPtr ExpressionParser::parseLogical(Level operand, const char *name, Kind kind) {
  ExpressionPtr left = (this->*operand)();
  while (atName(name)) {
    ExpressionPtr node = make(kind);
    next();
    node->children.push_back(std::move(left));
    node->children.push_back((this->*operand)());
    left = done(std::move(node));
  }
  return left;
}

ExpressionPtr ExpressionParser::parseOr() {
  return parseLogical(&ExpressionParser::parseAnd, "or", Kind::Or);
}

ExpressionPtr ExpressionParser::parseAnd() {
  return parseLogical(&ExpressionParser::parseNot, "and", Kind::And);
}

ExpressionPtr ExpressionParser::parseNot() {
  if (!atName("not"))
    return parseCompare();
  const Nesting nesting(*this);
  ExpressionPtr node = make(Kind::Unary);
  next();
  node->name = "not";
  node->children.push_back(parseNot());
  return done(std::move(node));
}

ExpressionPtr ExpressionParser::parseCompare() {
  ExpressionPtr node = make(Kind::Compare);
  node->children.push_back(parseSum());
  while (true) {
    std::string op;
    for (const char *each : {"==", "!=", "<", "<=", ">", ">="})
      if (atOperator(each))
        op = each;
    if (atName("in"))
      op = "in";
    if (atName("not") && peek(1).kind == Token::Kind::Name && peek(1).text == "in") {
      op = "not in";
      next();
    }
    if (op.empty())
      break;
    next();
    node->operators.push_back(std::move(op));
    node->children.push_back(parseSum());
  }
  return node->operators.empty() ? std::move(node->children[0]) : done(std::move(node));
}

ExpressionPtr ExpressionParser::parseSum() { return parseChain(&ExpressionParser::parseConcat, {"+", "-"}); }

ExpressionPtr ExpressionParser::parseConcat() {
  ExpressionPtr node = make(Kind::Concat);
  node->children.push_back(parseProduct());
  while (skipOperator("~"))
    node->children.push_back(parseProduct());
  return node->children.size() == 1 ? std::move(node->children[0]) : done(std::move(node));
}

ExpressionPtr ExpressionParser::parseProduct() {
  return parseChain(&ExpressionParser::parsePower, {"*", "/", "//", "%"});
}

ExpressionPtr ExpressionParser::parsePower() { return parseChain(&ExpressionParser::parseOperand, {"**"}); }

ExpressionPtr ExpressionParser::parseUnary(bool withFilters) {
  ExpressionPtr value;
  if (atOperator("-") || atOperator("+")) {
    const Nesting nesting(*this);
    value = make(Kind::Unary);
    value->name = next().text;
    value->children.push_back(parseUnary(false));
    value = done(std::move(value));
  } else {
    value = parsePrimary();
  }
  value = parsePostfix(std::move(value));
  return withFilters ? parseFilters(std::move(value), false) : std::move(value);
}

ExpressionPtr ExpressionParser::parsePrimary() {
  ExpressionPtr node = make(Kind::Constant);
  switch (peek().kind) {
  case Token::Kind::Name: {
    const std::string &name = next().text;
    if (name == "true" || name == "True")
      node->constant = Value::boolean(true);
    else if (name == "false" || name == "False")
      node->constant = Value::boolean(false);
    else if (name == "none" || name == "None")
      node->constant = Value::none();
    else {
      if (const char *reason = unsupportedFunction(name))
        throw TemplateError{fmt::format("the function '{}' is not supported{}", name, reason), node->line};
      node->kind = Kind::Name;
      node->name = name;
    }
    return node;
  }
  case Token::Kind::String: {
    std::string text;
    while (peek().kind == Token::Kind::String)
      text += next().text;
    node->constant = Value::string(std::move(text));
    return node;
  }
  case Token::Kind::Integer:
    node->constant = Value::integer(next().integer);
    return node;
  case Token::Kind::Float:
    node->constant = Value::real(next().real);
    return node;
  default:
    return parseBracketed();
  }
}

ExpressionPtr ExpressionParser::parseBracketed() {
  const Nesting nesting(*this);
  if (skipOperator("(")) {
    ExpressionPtr value = parseTuple(true, {}, true);
    expectOperator(")");
    return value;
  }
  if (atOperator("[") || atOperator("{")) {
    const bool isList = next().text == "[";
    ExpressionPtr node = make(isList ? Kind::List : Kind::Dict);
    const char *close = isList ? "]" : "}";
    while (!atOperator(close)) {
      if (!node->children.empty())
        expectOperator(",");
      if (atOperator(close))
        break;
      node->children.push_back(parseExpression());
      if (!isList) {
        expectOperator(":");
        node->children.push_back(parseExpression());
      }
    }
    expectOperator(close);
    return done(std::move(node));
  }
  fail(fmt::format("expected an expression, found {}", found()));
}

ExpressionPtr ExpressionParser::parseTuple(bool conditional, std::initializer_list<std::string_view> ends,
                                           bool inParentheses) {
  ExpressionPtr node = make(Kind::Tuple);
  bool isTuple = false;
  const auto atEnd = [&] {
    if (peek().kind == Token::Kind::BlockEnd || peek().kind == Token::Kind::VariableEnd || atOperator(")"))
      return true;
    return std::any_of(ends.begin(), ends.end(), [&](std::string_view each) { return atName(each); });
  };
  while (true) {
    if (!node->children.empty())
      expectOperator(",");
    if (atEnd())
      break;
    node->children.push_back(parseExpression(conditional));
    if (!atOperator(","))
      break;
    isTuple = true;
  }
  if (!isTuple && node->children.size() == 1)
    return std::move(node->children[0]);
  if (node->children.empty() && !inParentheses)
    fail(fmt::format("expected an expression, found {}", found()));
  return done(std::move(node));
}

ExpressionPtr ExpressionParser::parseTarget(std::initializer_list<std::string_view> ends,
                                            bool allowAttribute) {
  const auto one = [&](auto &self) -> ExpressionPtr {
    const Nesting nesting(*this);
    if (skipOperator("(")) {
      ExpressionPtr inner = parseTarget({}, false);
      expectOperator(")");
      return inner;
    }
    ExpressionPtr node = make(Kind::Name);
    node->name = expectName("a name to assign to");
    if (allowAttribute && skipOperator(".")) {
      ExpressionPtr attribute = make(Kind::Attribute);
      attribute->name = expectName("an attribute's name");
      attribute->children.push_back(std::move(node));
      return attribute;
    }
    return node;
  };
  ExpressionPtr first = one(one);
  if (!atOperator(","))
    return first;
  ExpressionPtr tuple = make(Kind::Tuple);
  tuple->children.push_back(std::move(first));
  while (skipOperator(",")) {
    if (std::any_of(ends.begin(), ends.end(),
                    [&](std::string_view each) { return atName(each) || atOperator(each); }))
      break;
    tuple->children.push_back(one(one));
  }
  return tuple;
}

ExpressionPtr ExpressionParser::parsePostfix(ExpressionPtr value) {
  while (true) {
    if (atOperator(".") || atOperator("[")) {
      value = parseSubscript(std::move(value));
    } else if (atOperator("(")) {
      ExpressionPtr call = make(Kind::Call);
      call->children.push_back(std::move(value));
      parseArguments(*call);
      value = done(std::move(call));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::parseFilters(ExpressionPtr value, bool startInline) {
  while (true) {
    if (startInline || skipOperator("|")) {
      startInline = false;
      value = parseFilter(std::move(value));
    } else if (atName("is")) {
      next();
      value = parseTest(std::move(value));
    } else if (atOperator("(")) { // the result of a filter may be called
      ExpressionPtr call = make(Kind::Call);
      call->children.push_back(std::move(value));
      parseArguments(*call);
      value = done(std::move(call));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::parseFilter(ExpressionPtr value) {
  ExpressionPtr node = make(Kind::Filter);
  node->name = expectName("a filter's name");
  if (!findFilter(node->name))
    throw TemplateError{fmt::format("the filter '{}' is not supported", node->name), node->line};
  node->children.push_back(std::move(value));
  if (atOperator("("))
    parseArguments(*node);
  return done(std::move(node));
}

ExpressionPtr ExpressionParser::parseTest(ExpressionPtr value) {
  ExpressionPtr node = make(Kind::Test);
  node->negated = skipName("not");
  node->name = expectName("a test's name");
  if (!findTest(node->name))
    throw TemplateError{fmt::format("the test '{}' is not supported", node->name), node->line};
  node->children.push_back(std::move(value));
  const bool operand = peek().kind == Token::Kind::Name || peek().kind == Token::Kind::String ||
                       peek().kind == Token::Kind::Integer || peek().kind == Token::Kind::Float ||
                       atOperator("[") || atOperator("{");
  if (atOperator("("))
    parseArguments(*node);
  else if (operand && !atName("else") && !atName("or") && !atName("and") && !atName("is") && !atName("if") &&
           !atName("in") && !atName("not"))
    node->children.push_back(parsePostfix(parsePrimary()));
  return done(std::move(node));
}

ExpressionPtr ExpressionParser::parseSubscript(ExpressionPtr value) {
  ExpressionPtr node = make(Kind::Attribute);
  const bool dot = next().text == ".";
  node->children.push_back(std::move(value));
  if (dot && peek().kind == Token::Kind::Name) {
    node->name = next().text;
    return done(std::move(node));
  }
  node->kind = Kind::Subscript;
  if (dot) {
    if (peek().kind != Token::Kind::Integer)
      fail(fmt::format("expected a name or a number after '.', found {}", found()));
    node->children.push_back(make(Kind::Constant));
    node->children.back()->constant = Value::integer(next().integer);
    return done(std::move(node));
  }
  ExpressionPtr key = parseSubscribed();
  if (atOperator(",")) {
    ExpressionPtr tuple = make(Kind::Tuple);
    tuple->children.push_back(std::move(key));
    while (skipOperator(","))
      tuple->children.push_back(parseSubscribed());
    key = std::move(tuple);
  }
  expectOperator("]");
  node->children.push_back(std::move(key));
  return done(std::move(node));
}

/// A key or a slice.
ExpressionPtr ExpressionParser::parseSubscribed() {
  ExpressionPtr slice = make(Kind::Slice);
  ExpressionPtr part = atOperator(":") ? nullptr : parseExpression();
  if (!atOperator(":"))
    return part;
  slice->children.push_back(std::move(part));
  while (skipOperator(":")) {
    const bool empty = atOperator(":") || atOperator("]") || atOperator(",");
    slice->children.push_back(empty ? nullptr : parseExpression());
  }
  if (slice->children.size() > 3)
    fail("expected at most two ':' in a slice");
  slice->children.resize(3);
  return done(std::move(slice));
}

void ExpressionParser::parseArguments(Expression &call) {
  const Nesting nesting(*this);
  expectOperator("(");
  bool first = true;
  while (!atOperator(")")) {
    if (!first)
      expectOperator(",");
    if (atOperator(")"))
      break;
    first = false;
    if (atOperator("*") || atOperator("**")) {
      ExpressionPtr spread = make(Kind::Spread);
      spread->name = next().text;
      spread->children.push_back(parseExpression());
      call.children.push_back(std::move(spread));
    } else if (peek().kind == Token::Kind::Name && peek(1).kind == Token::Kind::Operator &&
               peek(1).text == "=") {
      std::string name = next().text;
      next();
      call.named.emplace_back(std::move(name), parseExpression());
    } else {
      if (!call.named.empty())
        fail("expected positional arguments before named ones");
      call.children.push_back(parseExpression());
    }
  }
  expectOperator(")");
}

} // namespace sinter::chat
