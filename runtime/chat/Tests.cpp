// SPDX-License-Identifier: Apache-2.0
// What stands after `is`, and the comparisons that select and selectattr take by name.
#include "runtime/chat/Builtins.h"
#include "runtime/chat/Text.h"
#include <fmt/format.h>

namespace sinter::chat {

namespace {

using Kind = Value::Kind;

Value only(const char *test, const Arguments &given) { return Bound(test, given, {"value"})[0]; }

int64_t integerOf(const Value &value) {
  if (!value.isInteger())
    throw TemplateError{
        fmt::format("expected an integer, found {}", value.isUndefined() ? value.name() : value.typeName())};
  return value.asInteger();
}

bool isCased(const Value &value, std::string (*change)(std::string_view)) {
  const std::string text = value.str();
  return change(text) == text && upperCase(text) != lowerCase(text);
}

constexpr std::pair<std::string_view, Test> tests[] = {
    {"!=", [](const Value &v, const Arguments &a) { return !equal(v, only("ne", a)); }},
    {"<", [](const Value &v, const Arguments &a) { return less(v, only("lt", a)); }},
    {"<=", [](const Value &v, const Arguments &a) { return !less(only("le", a), v); }},
    {"==", [](const Value &v, const Arguments &a) { return equal(v, only("eq", a)); }},
    {">", [](const Value &v, const Arguments &a) { return less(only("gt", a), v); }},
    {">=", [](const Value &v, const Arguments &a) { return !less(v, only("ge", a)); }},
    {"boolean", [](const Value &v, const Arguments &) { return v.is(Kind::Bool); }},
    {"callable", [](const Value &v, const Arguments &) { return v.is(Kind::Callable); }},
    {"defined", [](const Value &v, const Arguments &) { return !v.isUndefined(); }},
    {"divisibleby", [](const Value &v, const Arguments &a) {
       const int64_t by = integerOf(only("divisibleby", a));
       if (by == 0)
         throw TemplateError{"divisibleby: division by zero"};
       return by == -1 || integerOf(v) % by == 0;
     }},
    {"eq", [](const Value &v, const Arguments &a) { return equal(v, only("eq", a)); }},
    {"equalto", [](const Value &v, const Arguments &a) { return equal(v, only("equalto", a)); }},
    {"escaped", [](const Value &, const Arguments &) { return false; }},
    {"even", [](const Value &v, const Arguments &) { return integerOf(v) % 2 == 0; }},
    {"false", [](const Value &v, const Arguments &) { return v.is(Kind::Bool) && !v.truth(); }},
    {"filter", [](const Value &v, const Arguments &) { return v.isString() && findFilter(v.text()); }},
    {"float", [](const Value &v, const Arguments &) { return v.is(Kind::Float); }},
    {"ge", [](const Value &v, const Arguments &a) { return !less(v, only("ge", a)); }},
    {"greaterthan", [](const Value &v, const Arguments &a) { return less(only("gt", a), v); }},
    {"gt", [](const Value &v, const Arguments &a) { return less(only("gt", a), v); }},
    {"in", [](const Value &v, const Arguments &a) { return contains(only("in", a), v); }},
    {"integer", [](const Value &v, const Arguments &) { return v.is(Kind::Integer); }},
    {"iterable", [](const Value &v, const Arguments &) {
       return v.isUndefined() || v.isString() || v.isSequence() || v.is(Kind::Dict);
     }},
    {"le", [](const Value &v, const Arguments &a) { return !less(only("le", a), v); }},
    {"lessthan", [](const Value &v, const Arguments &a) { return less(v, only("lt", a)); }},
    {"lower", [](const Value &v, const Arguments &) { return isCased(v, lowerCase); }},
    {"lt", [](const Value &v, const Arguments &a) { return less(v, only("lt", a)); }},
    {"mapping", [](const Value &v, const Arguments &) { return v.is(Kind::Dict); }},
    {"ne", [](const Value &v, const Arguments &a) { return !equal(v, only("ne", a)); }},
    {"none", [](const Value &v, const Arguments &) { return v.is(Kind::None); }},
    {"number", [](const Value &v, const Arguments &) { return v.isNumber(); }},
    {"odd", [](const Value &v, const Arguments &) { return integerOf(v) % 2 != 0; }},
    {"sameas", [](const Value &v, const Arguments &a) {
       const Value other = only("sameas", a);
       if (v.kind() != other.kind())
         return false;
       return v.isSequence() || v.isMapping() || v.is(Kind::Callable) ? v.identity() == other.identity() : equal(v, other);
     }},
    {"sequence", [](const Value &v, const Arguments &) {
       return v.isUndefined() || v.isString() || v.is(Kind::List) || v.is(Kind::Tuple) || v.is(Kind::Dict);
     }},
    {"string", [](const Value &v, const Arguments &) { return v.isString(); }},
    {"test", [](const Value &v, const Arguments &) { return v.isString() && findTest(v.text()); }},
    {"true", [](const Value &v, const Arguments &) { return v.is(Kind::Bool) && v.truth(); }},
    {"undefined", [](const Value &v, const Arguments &) { return v.isUndefined(); }},
    {"upper", [](const Value &v, const Arguments &) { return isCased(v, upperCase); }},
};

} // namespace

Test findTest(std::string_view name) {
  for (const auto &[known, test] : tests)
    if (known == name)
      return test;
  return nullptr;
}

} // namespace sinter::chat
