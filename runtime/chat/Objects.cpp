// SPDX-License-Identifier: Apache-2.0
// Attributes, elements, slices, arithmetic and functions: what expressions do with values.
#include "runtime/chat/Builtins.h"
#include "runtime/chat/Text.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/format.h>

namespace sinter::chat {

using Kind = Value::Kind;

Bound::Bound(const char *function, const Arguments &arguments, std::initializer_list<const char *> names,
             size_t required)
    : function(function), values(names.size()) {
  if (arguments.positional.size() > names.size())
    throw TemplateError{fmt::format("{}: expected at most {} arguments, found {}", function, names.size(),
                                    arguments.positional.size())};
  std::copy(arguments.positional.begin(), arguments.positional.end(), values.begin());
  for (const auto &[name, value] : arguments.named) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end())
      throw TemplateError{fmt::format("{}: there is no argument '{}'", function, name)};
    values[size_t(at - names.begin())] = value;
  }
  const auto isNamed = [&](const char *name) {
    return std::any_of(arguments.named.begin(), arguments.named.end(),
                       [&](const auto &each) { return each.first == name; });
  };
  for (size_t i = arguments.positional.size(); i < required; ++i)
    if (!isNamed(names.begin()[i]))
      throw TemplateError{fmt::format("{}: expected an argument '{}'", function, names.begin()[i])};
}

int64_t Bound::integer(size_t index, int64_t otherwise) const {
  if (!has(index) || values[index].is(Kind::None))
    return otherwise;
  if (!values[index].isInteger())
    throw TemplateError{fmt::format("{}: expected an integer as argument {}, found {}", function, index + 1,
                                    values[index].typeName())};
  return values[index].asInteger();
}

const std::string &Bound::text(size_t index) const {
  if (!values[index].isString())
    throw TemplateError{fmt::format("{}: expected a string as argument {}, found {}", function, index + 1,
                                    values[index].typeName())};
  return values[index].text();
}

namespace {

constexpr int64_t rangeLimit = 100000; // the sandbox's

Value missing(const Value &object, const std::string &name) {
  return Value::undefined(fmt::format("'{}' object has no attribute '{}'", object.typeName(), name));
}

/// items, keys, values, get, copy of a dictionary; undefined otherwise.
Value dictMethod(const Value &object, const std::string &name) {
  if (name == "items" || name == "keys" || name == "values" || name == "copy")
    return Value::callable(name, [object, name](const Arguments &given) {
      Bound("dict method", given, {});
      if (name == "copy")
        return object;
      List items;
      for (const auto &[key, value] : object.entries())
        items.push_back(name == "items" ? Value::tuple({key, value}) : name == "keys" ? key : value);
      return Value::list(std::move(items));
    });
  if (name == "get")
    return Value::callable(name, [object](const Arguments &given) {
      const Bound bound("get", given, {"key", "default"});
      const Value *found = object.find(bound[0]);
      return found ? *found : bound.has(1) || given.positional.size() > 1 ? bound[1] : Value::none();
    });
  return {};
}

Value listMethod(const Value &object, const std::string &name) {
  if (name == "count" || name == "index")
    return Value::callable(name, [object, name](const Arguments &given) {
      const Bound bound(name.c_str(), given, {"value"});
      int64_t count = 0;
      for (size_t i = 0; i < object.items().size(); ++i)
        if (equal(object.items()[i], bound[0])) {
          if (name == "index")
            return Value::integer(int64_t(i));
          ++count;
        }
      if (name == "index")
        throw TemplateError{fmt::format("{} is not in the list", bound[0].repr())};
      return Value::integer(count);
    });
  if (name == "copy" && object.is(Kind::List))
    return Value::callable(name, [object](const Arguments &) { return object; });
  return {};
}

bool changesObject(const Value &object, std::string_view name) {
  const auto among = [&](std::initializer_list<const char *> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  return (object.is(Kind::List) &&
          among({"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"})) ||
         (object.is(Kind::Dict) && among({"clear", "pop", "popitem", "setdefault", "update"}));
}

} // namespace

Value attribute(const Value &object, const std::string &name) {
  if (object.isUndefined())
    throw TemplateError{object.name()};
  if (changesObject(object, name))
    return Value::undefined(
        fmt::format("the sandbox forbids '{}' of a {}: it would change the object", name, object.typeName()));
  Value method;
  if (object.isString())
    method = stringMethod(object, name);
  else if (object.is(Kind::Dict))
    method = dictMethod(object, name);
  else if (object.is(Kind::List) || object.is(Kind::Tuple))
    method = listMethod(object, name);
  if (!method.isUndefined())
    return method;
  if (object.isMapping())
    if (const Value *found = object.find(std::string_view(name)))
      return *found;
  return missing(object, name);
}

Value subscript(const Value &object, const Value &key) {
  if (object.isUndefined())
    throw TemplateError{object.name()};
  if (object.is(Kind::Dict))
    if (const Value *found = object.find(key))
      return *found;
  if (key.isInteger() && (object.is(Kind::List) || object.is(Kind::Tuple) || object.isString())) {
    const int64_t count = length(object);
    const int64_t index = key.asInteger() < 0 ? key.asInteger() + count : key.asInteger();
    if (index < 0 || index >= count)
      return Value::undefined(
          fmt::format("'{}' object has no element {}", object.typeName(), key.asInteger()));
    if (!object.isString())
      return object.items()[size_t(index)];
    const size_t begin = byteOffset(object.text(), index);
    size_t end = begin;
    nextCodepoint(object.text(), end);
    return Value::string(object.text().substr(begin, end - begin));
  }
  if (key.isString())
    return attribute(object, key.text());
  return Value::undefined(fmt::format("'{}' object has no element {}", object.typeName(), key.repr()));
}

Value slice(const Value &object, const Value &begin, const Value &end, const Value &stepValue) {
  if (object.isUndefined())
    throw TemplateError{object.name()};
  const auto number = [](const Value &value, int64_t otherwise) {
    if (value.is(Kind::None))
      return otherwise;
    if (!value.isInteger())
      throw TemplateError{fmt::format("a slice expects integers, found {}", value.typeName())};
    return value.asInteger();
  };
  const int64_t step = number(stepValue, 1);
  if (step == 0)
    throw TemplateError{"a slice's step must not be 0"};
  if (!object.isString() && !object.is(Kind::List) && !object.is(Kind::Tuple))
    throw TemplateError{fmt::format("'{}' object cannot be sliced", object.typeName())};
  const int64_t count = length(object);
  const auto clamp = [&](int64_t index) { // as Python's slice.indices
    if (index < 0)
      index += count;
    return step > 0 ? std::clamp<int64_t>(index, 0, count) : std::clamp<int64_t>(index, -1, count - 1);
  };
  const int64_t first = begin.is(Kind::None) ? (step > 0 ? 0 : count - 1) : clamp(number(begin, 0));
  const int64_t last = end.is(Kind::None) ? (step > 0 ? count : -1) : clamp(number(end, 0));
  if (object.isString() && step == 1) {
    const size_t from = byteOffset(object.text(), first),
                 to = byteOffset(object.text(), std::max(first, last));
    return Value::string(object.text().substr(from, to - from));
  }
  const List all = iterate(object);
  List items;
  for (int64_t i = first; step > 0 ? i < last : i > last; i += step) {
    items.push_back(all[size_t(i)]);
    if (step > count || step < -count)
      break; // i + step may overflow
  }
  if (object.isString()) {
    std::string text;
    for (const Value &each : items)
      text += each.text();
    return Value::string(std::move(text));
  }
  return object.is(Kind::List) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

namespace {

[[noreturn]] void unsupported(std::string_view op, const Value &a, const Value &b) {
  for (const Value *each : {&a, &b})
    if (each->isUndefined())
      throw TemplateError{each->name()};
  throw TemplateError{
      fmt::format("unsupported operand types for {}: '{}' and '{}'", op, a.typeName(), b.typeName())};
}

Value repeated(const Value &value, int64_t count) {
  count = std::max<int64_t>(count, 0);
  const size_t unit = value.isString() ? value.text().size() : value.items().size() * sizeof(Value);
  if (unit && size_t(count) > textLimit / unit)
    throw TemplateError{"a repetition is too long"};
  if (value.isString()) {
    std::string text;
    for (int64_t i = 0; i < count; ++i)
      text += value.text();
    return Value::string(std::move(text));
  }
  List items;
  for (int64_t i = 0; i < count; ++i)
    items.insert(items.end(), value.items().begin(), value.items().end());
  return value.is(Kind::List) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
}

Value integerArithmetic(std::string_view op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (op == "+")
    overflow = __builtin_add_overflow(a, b, &result);
  else if (op == "-")
    overflow = __builtin_sub_overflow(a, b, &result);
  else if (op == "*")
    overflow = __builtin_mul_overflow(a, b, &result);
  else if (op == "//" || op == "%") {
    if (b == 0)
      throw TemplateError{"division by zero"};
    if (b == -1)
      overflow = op == "//" && __builtin_sub_overflow(int64_t(0), a, &result);
    else {
      const int64_t quotient = a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
      result = op == "//" ? quotient : a - quotient * b;
    }
  } else { // **
    if (b < 0)
      return Value::real(std::pow(double(a), double(b)));
    result = 1;
    for (int64_t i = 0; i < b && !overflow; ++i) {
      overflow = __builtin_mul_overflow(result, a, &result);
      if (i > 64 && (a == 1 || a == 0 || a == -1))
        return Value::integer(a == -1 && b % 2 ? -1 : a == -1 ? 1 : a);
    }
  }
  if (overflow)
    throw TemplateError{fmt::format("the result of {} {} {} does not fit into 64 bits", a, op, b)};
  return Value::integer(result);
}

} // namespace

Value arithmetic(std::string_view op, const Value &a, const Value &b) {
  if (op == "%" && a.isString())
    return Value::string(formatPercent(a.text(), b));
  if (a.isNumber() && b.isNumber()) {
    if (a.isInteger() && b.isInteger() && op != "/")
      return integerArithmetic(op, a.asInteger(), b.asInteger());
    const double x = a.asReal(), y = b.asReal();
    if (op == "+")
      return Value::real(x + y);
    if (op == "-")
      return Value::real(x - y);
    if (op == "*")
      return Value::real(x * y);
    if (op == "**")
      return Value::real(std::pow(x, y));
    if (y == 0)
      throw TemplateError{"division by zero"};
    if (op == "/")
      return Value::real(x / y);
    const double remainder = std::fmod(x, y);
    const double modulo = remainder != 0 && (remainder < 0) != (y < 0) ? remainder + y : remainder;
    return Value::real(op == "%" ? modulo : std::floor((x - modulo) / y + 0.5));
  }
  if (op == "+" && a.isString() && b.isString()) {
    if (a.text().size() + b.text().size() > textLimit)
      throw TemplateError{"a string is too long"};
    return Value::string(a.text() + b.text());
  }
  if (op == "+" && a.kind() == b.kind() && (a.is(Kind::List) || a.is(Kind::Tuple))) {
    if ((a.items().size() + b.items().size()) * sizeof(Value) > textLimit)
      throw TemplateError{"a list is too long"};
    List items = a.items();
    items.insert(items.end(), b.items().begin(), b.items().end());
    return a.is(Kind::List) ? Value::list(std::move(items)) : Value::tuple(std::move(items));
  }
  const auto canRepeat = [](const Value &value) {
    return value.isString() || value.is(Kind::List) || value.is(Kind::Tuple);
  };
  if (op == "*" && canRepeat(a) && b.isInteger())
    return repeated(a, b.asInteger());
  if (op == "*" && canRepeat(b) && a.isInteger())
    return repeated(b, a.asInteger());
  unsupported(op, a, b);
}

namespace {

Value makeRange(const Arguments &given) {
  const Bound bound("range", given, {"start", "stop", "step"});
  const bool one = !bound.has(1);
  const int64_t first = one ? 0 : bound.integer(0, 0), last = bound.integer(one ? 0 : 1, 0),
                step = bound.integer(2, 1);
  if (step == 0 || (one && !bound.has(0)))
    throw TemplateError{"range: expected a stop and a step that is not 0"};
  List items;
  for (int64_t i = first; step > 0 ? i < last : i > last;) {
    if (int64_t(items.size()) == rangeLimit)
      throw TemplateError{fmt::format("range: the sandbox blocks ranges longer than {}", rangeLimit)};
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i))
      break;
  }
  return Value::list(std::move(items));
}

/// dict(...) and namespace(...): pairs or a mapping, then names.
Entries makeEntries(const char *function, const Arguments &given) {
  Entries entries;
  if (given.positional.size() > 1)
    throw TemplateError{fmt::format("{}: expected at most 1 positional argument, found {}", function,
                                    given.positional.size())};
  if (!given.positional.empty()) {
    if (given.positional[0].is(Kind::Dict)) {
      entries = given.positional[0].entries();
    } else {
      for (const Value &pair : iterate(given.positional[0])) {
        const List two = iterate(pair);
        if (two.size() != 2)
          throw TemplateError{fmt::format("{}: expected pairs, found {} items", function, two.size())};
        setEntry(entries, two[0], two[1]);
      }
    }
  }
  for (const auto &[name, value] : given.named)
    setEntry(entries, Value::string(name), value);
  return entries;
}

/// A namespace's names are strings that do not begin with an underscore.
Entries namespaceEntries(const Arguments &given) {
  Entries entries = makeEntries("namespace", given);
  for (const auto &[name, value] : entries)
    if (!name.isString() || name.text().starts_with('_'))
      throw TemplateError{
          fmt::format("namespace: expected names without an underscore in front, found {}", name.repr())};
  return entries;
}

Value tellTime(const Arguments &given, std::time_t now) {
  const Bound bound("strftime_now", given, {"format"});
  const std::string &format = bound.text(0);
  std::tm parts;
  localtime_r(&now, &parts);
  std::string text(format.size() * 16 + 256, '\0');
  text.resize(std::strftime(text.data(), text.size(), format.c_str(), &parts));
  return Value::string(std::move(text));
}

} // namespace

const char *unsupportedFunction(std::string_view name) {
  return name == "cycler" || name == "joiner" || name == "lipsum"
             ? ": expected range, dict, namespace, raise_exception or strftime_now"
             : nullptr;
}

Value globalFunction(std::string_view name, std::time_t now) {
  if (name == "range")
    return Value::callable("range", makeRange);
  if (name == "dict")
    return Value::callable("dict",
                           [](const Arguments &given) { return Value::dict(makeEntries("dict", given)); });
  if (name == "namespace")
    return Value::callable("namespace",
                           [](const Arguments &given) { return Value::nameSpace(namespaceEntries(given)); });
  if (name == "raise_exception")
    return Value::callable("raise_exception", [](const Arguments &given) -> Value {
      throw TemplateError{given.positional.empty() ? "raise_exception" : given.positional[0].str()};
    });
  if (name == "strftime_now")
    return Value::callable("strftime_now", [now](const Arguments &given) { return tellTime(given, now); });
  return Value::undefined(fmt::format("'{}' is undefined", name));
}

} // namespace sinter::chat
