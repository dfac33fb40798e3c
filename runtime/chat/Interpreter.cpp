// SPDX-License-Identifier: Apache-2.0
// A walk over the tree. Names are looked up from the innermost scope outwards when they are needed, which is
// what the functions that Jinja compiles a template to come down to.
#include "runtime/chat/Interpreter.h"
#include "runtime/chat/Builtins.h"
#include <cassert>
#include <fmt/format.h>
#include <optional>

namespace sinter::chat {

using Kind = Expression::Kind;

namespace {

constexpr int64_t stepLimit = 5'000'000;
constexpr int depthLimit = 600;

/// Counts how deep calls and expressions are nested.
struct Deeper {
  explicit Deeper(int &depth) : depth(depth) {
    if (++depth > depthLimit) {
      --depth;
      throw TemplateError{fmt::format("macros or expressions are nested more than {} deep", depthLimit)};
    }
  }
  ~Deeper() { --depth; }
  int &depth;
};

void append(std::string &out, const std::string &text) {
  if (out.size() + text.size() > textLimit)
    throw TemplateError{fmt::format("the text is longer than {} bytes", textLimit)};
  out += text;
}

} // namespace

void Interpreter::Scope::set(const std::string &name, Value value) {
  for (auto &[known, held] : names)
    if (known == name) {
      held = std::move(value);
      return;
    }
  names.emplace_back(name, std::move(value));
}

void Interpreter::countSteps(int64_t count) {
  if ((steps += count) > stepLimit)
    throw TemplateError{fmt::format("the template takes more than {} steps", stepLimit)};
}

std::string Interpreter::render(const Body &body) {
  std::string out;
  run(body, scopes.emplace_back(Scope{nullptr, {}}), out);
  return out;
}

Interpreter::Flow Interpreter::run(const Body &body, Scope &scope, std::string &out) {
  for (const Statement &statement : body) {
    try {
      countSteps(1);
      if (const Flow flow = runOne(statement, scope, out); flow != Flow::Next)
        return flow;
    } catch (TemplateError &error) {
      if (error.line == 0)
        error.line = statement.line;
      throw;
    }
  }
  return Flow::Next;
}

std::string Interpreter::capture(const Body &body, Scope &scope) {
  std::string out;
  Inner inner(*this, scope);
  run(body, inner, out);
  return out;
}

Interpreter::Flow Interpreter::runOne(const Statement &s, Scope &scope, std::string &out) {
  switch (s.kind) {
  case Statement::Kind::Text:
    append(out, s.name);
    return Flow::Next;
  case Statement::Kind::Output:
    append(out, evaluate(*s.expressions[0], scope).str());
    return Flow::Next;
  case Statement::Kind::If:
    for (size_t i = 0; i < s.expressions.size(); ++i)
      if (evaluate(*s.expressions[i], scope).truth())
        return run(s.bodies[i], scope, out);
    return s.bodies.size() > s.expressions.size() ? run(s.bodies.back(), scope, out) : Flow::Next;
  case Statement::Kind::For:
    return runFor(s, scope, out);
  case Statement::Kind::Set:
    assign(*s.target, evaluate(*s.expressions[0], scope), scope);
    return Flow::Next;
  case Statement::Kind::SetBlock:
    assign(*s.target, applyFilters(s.expressions[0].get(), Value::string(capture(s.bodies[0], scope)), scope),
           scope);
    return Flow::Next;
  case Statement::Kind::Macro:
    scope.set(s.name, makeMacro(s.name, s, scope));
    return Flow::Next;
  case Statement::Kind::CallBlock: {
    const Value caller = makeMacro("caller", s, scope);
    append(out, evaluateCall(*s.expressions[0], scope, &caller).str());
    return Flow::Next;
  }
  case Statement::Kind::Filter:
    append(out,
           applyFilters(s.expressions[0].get(), Value::string(capture(s.bodies[0], scope)), scope).str());
    return Flow::Next;
  case Statement::Kind::With: {
    Inner inner(*this, scope);
    for (const Parameter &each : s.parameters)
      inner->set(each.name, evaluate(*each.standard, scope));
    return run(s.bodies[0], inner, out);
  }
  case Statement::Kind::Scope:
    append(out, capture(s.bodies[0], scope));
    return Flow::Next;
  case Statement::Kind::Break:
    return Flow::Break;
  case Statement::Kind::Continue:
    return Flow::Continue;
  }
  return Flow::Next;
}

namespace {

/// The variable `loop` in round `index` of `items`.
Value loopVariable(const List &items, size_t index, int depth,
                   const std::shared_ptr<std::optional<List>> &latest) {
  const int64_t count = int64_t(items.size()), i = int64_t(index);
  const auto name = [](const char *text) { return Value::string(text); };
  return Value::nameSpace({
      {name("index"), Value::integer(i + 1)},
      {name("index0"), Value::integer(i)},
      {name("revindex"), Value::integer(count - i)},
      {name("revindex0"), Value::integer(count - i - 1)},
      {name("first"), Value::boolean(i == 0)},
      {name("last"), Value::boolean(i == count - 1)},
      {name("length"), Value::integer(count)},
      {name("depth"), Value::integer(depth)},
      {name("depth0"), Value::integer(depth - 1)},
      {name("previtem"), i > 0 ? items[index - 1] : Value::undefined("there is no previous item")},
      {name("nextitem"), i + 1 < count ? items[index + 1] : Value::undefined("there is no next item")},
      {name("cycle"), Value::callable("cycle",
                                      [i](const Arguments &given) {
                                        if (given.positional.empty())
                                          throw TemplateError{"loop.cycle: expected items to cycle through"};
                                        return given.positional[size_t(i) % given.positional.size()];
                                      })},
      {name("changed"), Value::callable("changed",
                                        [latest](const Arguments &given) {
                                          const bool same = *latest && equal(Value::list(**latest),
                                                                             Value::list(given.positional));
                                          *latest = given.positional;
                                          return Value::boolean(!same);
                                        })},
  });
}

} // namespace

Interpreter::Flow Interpreter::runFor(const Statement &s, Scope &scope, std::string &out) {
  List items = iterate(evaluate(*s.expressions[0], scope));
  if (const ExpressionPtr &filter = s.expressions[1]) {
    List kept;
    for (const Value &item : items) {
      countSteps(10);
      Inner inner(*this, scope);
      assign(*s.target, item, inner);
      if (evaluate(*filter, inner).truth())
        kept.push_back(item);
    }
    items = std::move(kept);
  }
  if (items.empty() && s.bodies.size() > 1) {
    Inner inner(*this, scope);
    return run(s.bodies[1], inner, out);
  }
  const auto latest = std::make_shared<std::optional<List>>();
  for (size_t i = 0; i < items.size(); ++i) {
    countSteps(10);
    Inner inner(*this, scope);
    inner->names.emplace_back("loop", loopVariable(items, i, 1, latest));
    assign(*s.target, items[i], inner);
    if (run(s.bodies[0], inner, out) == Flow::Break)
      break;
  }
  return Flow::Next;
}

Value Interpreter::makeMacro(const std::string &name, const Statement &statement, Scope &scope) {
  for (Scope *at = &scope; at; at = at->parent)
    at->captured = true;
  return Value::callable(name, [this, name, &statement, &scope](const Arguments &arguments) {
    return callMacro(name, statement, scope, arguments);
  });
}

Value Interpreter::callMacro(const std::string &name, const Statement &statement, Scope &scope,
                             const Arguments &arguments) {
  const Deeper deeper(depth);
  Inner inner(*this, scope);
  const std::vector<Parameter> &parameters = statement.parameters;
  std::vector<bool> taken(arguments.named.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter &parameter = parameters[i];
    Value value = Value::undefined(fmt::format("parameter '{}' was not provided", parameter.name));
    bool given = i < arguments.positional.size();
    if (given)
      value = arguments.positional[i];
    for (size_t j = 0; j < arguments.named.size(); ++j)
      if (arguments.named[j].first == parameter.name) {
        if (given)
          throw TemplateError{fmt::format("macro '{}' got two values for '{}'", name, parameter.name)};
        given = taken[j] = true;
        value = arguments.named[j].second;
      }
    if (!given && parameter.standard)
      value = evaluate(*parameter.standard, inner);
    inner->set(parameter.name, std::move(value));
  }
  List rest;
  for (size_t i = parameters.size(); i < arguments.positional.size(); ++i)
    rest.push_back(arguments.positional[i]);
  Entries others;
  for (size_t j = 0; j < arguments.named.size(); ++j) {
    if (taken[j])
      continue;
    if (arguments.named[j].first == "caller")
      inner->set("caller", arguments.named[j].second);
    else
      others.emplace_back(Value::string(arguments.named[j].first), arguments.named[j].second);
  }
  inner->set("varargs", Value::tuple(std::move(rest)));
  inner->set("kwargs", Value::dict(std::move(others)));
  std::string out;
  run(statement.bodies[0], inner, out);
  return Value::string(std::move(out));
}

void Interpreter::assign(const Expression &target, const Value &value, Scope &scope) {
  if (target.kind == Kind::Name)
    return scope.set(target.name, value);
  if (target.kind == Kind::Attribute) {
    const std::string &name = target.children[0]->name;
    const Value space = lookUp(name, scope);
    if (!space.is(Value::Kind::Namespace))
      throw TemplateError{fmt::format("cannot assign to '{}.{}': expected '{}' to be a namespace, found {}",
                                      name, target.name, name, space.typeName())};
    for (auto &[key, held] : space.entries())
      if (key.text() == target.name) {
        held = value;
        return;
      }
    space.entries().emplace_back(Value::string(target.name), value);
    return;
  }
  const List items = iterate(value);
  if (items.size() != target.children.size())
    throw TemplateError{
        fmt::format("expected {} values to unpack, found {}", target.children.size(), items.size())};
  for (size_t i = 0; i < items.size(); ++i)
    assign(*target.children[i], items[i], scope);
}

Value Interpreter::lookUp(const std::string &name, const Scope &scope) const {
  for (const Scope *at = &scope; at; at = at->parent)
    for (const auto &[known, value] : at->names)
      if (known == name)
        return value;
  for (const auto &[known, value] : variables)
    if (known.text() == name)
      return value;
  return globalFunction(name, now);
}

Value Interpreter::evaluateOrNone(const ExpressionPtr &expression, Scope &scope) {
  return expression ? evaluate(*expression, scope) : Value::none();
}

Arguments Interpreter::evaluateArguments(const Expression &call, size_t first, Scope &scope) {
  Arguments arguments;
  for (size_t i = first; i < call.children.size(); ++i) {
    const Expression &child = *call.children[i];
    if (child.kind != Kind::Spread) {
      arguments.positional.push_back(evaluate(child, scope));
      continue;
    }
    const Value spread = evaluate(*child.children[0], scope);
    if (child.name == "*") {
      for (Value &each : iterate(spread))
        arguments.positional.push_back(std::move(each));
    } else if (spread.is(Value::Kind::Dict)) {
      for (const auto &[key, value] : spread.entries())
        arguments.named.emplace_back(key.str(), value);
    } else {
      throw TemplateError{fmt::format("expected a dict after **, found {}", spread.typeName())};
    }
  }
  for (const auto &[name, expression] : call.named)
    arguments.named.emplace_back(name, evaluate(*expression, scope));
  return arguments;
}

Value Interpreter::evaluateCall(const Expression &call, Scope &scope, const Value *caller) {
  const Value function = evaluate(*call.children[0], scope);
  Arguments arguments = evaluateArguments(call, 1, scope);
  if (caller)
    arguments.named.emplace_back("caller", *caller);
  if (function.isUndefined())
    throw TemplateError{function.name()};
  if (!function.is(Value::Kind::Callable))
    throw TemplateError{fmt::format("'{}' object is not callable", function.typeName())};
  return function.function().call(arguments);
}

Value Interpreter::applyFilters(const Expression *filters, Value value, Scope &scope) {
  if (!filters)
    return value;
  assert(filters->kind == Kind::Filter && "the parser gives filters here");
  value = applyFilters(filters->children[0].get(), std::move(value), scope);
  return findFilter(filters->name)(value, evaluateArguments(*filters, 1, scope));
}

Value Interpreter::evaluateCompare(const Expression &compare, Scope &scope) {
  Value left = evaluate(*compare.children[0], scope);
  for (size_t i = 0; i < compare.operators.size(); ++i) {
    Value right = evaluate(*compare.children[i + 1], scope);
    const std::string &op = compare.operators[i];
    bool holds;
    if (op == "==" || op == "!=")
      holds = equal(left, right) == (op == "==");
    else if (op == "in" || op == "not in")
      holds = contains(right, left) == (op == "in");
    else if (op == "<")
      holds = less(left, right);
    else if (op == ">")
      holds = less(right, left);
    else if (op == "<=")
      holds = less(left, right) || equal(left, right);
    else
      holds = less(right, left) || equal(left, right);
    if (!holds)
      return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::evaluate(const Expression &e, Scope &scope) {
  countSteps(1);
  const Deeper deeper(depth);
  const auto child = [&](size_t i) { return evaluate(*e.children[i], scope); };
  switch (e.kind) {
  case Kind::Constant:
    return e.constant;
  case Kind::Name:
    return lookUp(e.name, scope);
  case Kind::List:
  case Kind::Tuple: {
    List items;
    for (size_t i = 0; i < e.children.size(); ++i)
      items.push_back(child(i));
    return e.kind == Kind::List ? Value::list(std::move(items)) : Value::tuple(std::move(items));
  }
  case Kind::Dict: {
    Entries entries;
    for (size_t i = 0; i < e.children.size(); i += 2)
      setEntry(entries, child(i), child(i + 1));
    return Value::dict(std::move(entries));
  }
  case Kind::Attribute:
    return attribute(child(0), e.name);
  case Kind::Subscript: {
    const Expression &key = *e.children[1];
    const Value object = child(0);
    if (key.kind != Kind::Slice)
      return subscript(object, evaluate(key, scope));
    return slice(object, evaluateOrNone(key.children[0], scope), evaluateOrNone(key.children[1], scope),
                 evaluateOrNone(key.children[2], scope));
  }
  case Kind::Slice:
  case Kind::Spread:
    throw TemplateError{"a slice or spread stands where a value was expected", e.line};
  case Kind::Call:
    return evaluateCall(e, scope);
  case Kind::Filter:
    return findFilter(e.name)(child(0), evaluateArguments(e, 1, scope));
  case Kind::Test:
    return Value::boolean(findTest(e.name)(child(0), evaluateArguments(e, 1, scope)) != e.negated);
  case Kind::Unary:
    if (e.name == "not")
      return Value::boolean(!child(0).truth());
    if (const Value value = child(0); value.is(Value::Kind::Float) && e.name == "-")
      return Value::real(-value.asReal());
    else
      return arithmetic(e.name, Value::integer(0), value);
  case Kind::Binary: {
    const Value left = child(0);
    return arithmetic(e.name, left, child(1));
  }
  case Kind::Compare:
    return evaluateCompare(e, scope);
  case Kind::And: {
    Value left = child(0);
    return left.truth() ? child(1) : left;
  }
  case Kind::Or: {
    Value left = child(0);
    return left.truth() ? left : child(1);
  }
  case Kind::Concat: {
    std::string text;
    for (size_t i = 0; i < e.children.size(); ++i)
      append(text, child(i).str());
    return Value::string(std::move(text));
  }
  case Kind::Conditional:
    if (child(0).truth())
      return child(1);
    return e.children[2] ? child(2)
                         : Value::undefined("the inline if has no else, and its condition is false");
  }
  return {};
}

} // namespace sinter::chat
