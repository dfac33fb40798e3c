// SPDX-License-Identifier: Apache-2.0
// The filters, tests, functions and methods that templates call.
#ifndef SINTER_RUNTIME_CHAT_BUILTINS_H
#define SINTER_RUNTIME_CHAT_BUILTINS_H

#include "runtime/chat/Value.h"
#include <ctime>
#include <initializer_list>
#include <string_view>

namespace sinter::chat {

using Filter = Value (*)(const Value &value, const Arguments &arguments);
using Test = bool (*)(const Value &value, const Arguments &arguments);

/// Null when there is no such filter or test.
Filter findFilter(std::string_view name);
Test findTest(std::string_view name);

/// Not null for a function that Jinja has and this does not; then what to add to the message.
const char *unsupportedFunction(std::string_view name);

/// range, dict, namespace, raise_exception, strftime_now (which tells the time `now`), or undefined.
Value globalFunction(std::string_view name, std::time_t now);

/// object.name as Jinja looks it up: a method, else a key or element; undefined when there is none.
Value attribute(const Value &object, const std::string &name);
/// object[key]: a key or element, else an attribute.
Value subscript(const Value &object, const Value &key);
/// object[begin:end:step]; none stands for what was left out.
Value slice(const Value &object, const Value &begin, const Value &end, const Value &step);

/// The bound method of a string, or undefined.
Value stringMethod(const Value &text, std::string_view name);
/// text % values, as printf.
std::string formatPercent(std::string_view format, const Value &values);
/// text.format(...): fields {}, {0}, {name}, without conversions and with simple specifications.
std::string formatBraces(std::string_view format, const Arguments &arguments);

/// a `op` b for + - * / // % **.
Value arithmetic(std::string_view op, const Value &a, const Value &b);

/// Arguments by position or name. `names` lists all parameters in order; too many, unknown ones and a lack of
/// one of the first `required` throw. Others that are not given are undefined.
class Bound {
public:
  Bound(const char *function, const Arguments &arguments, std::initializer_list<const char *> names,
        size_t required = 0);
  const Value &operator[](size_t index) const { return values[index]; }
  bool has(size_t index) const { return !values[index].isUndefined(); }
  bool truth(size_t index, bool otherwise) const { return has(index) ? values[index].truth() : otherwise; }
  int64_t integer(size_t index, int64_t otherwise) const;
  const std::string &text(size_t index) const;

private:
  const char *function;
  std::vector<Value> values;
};

/// Longest text that a template may make.
inline constexpr size_t textLimit = size_t(64) << 20;

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_BUILTINS_H
