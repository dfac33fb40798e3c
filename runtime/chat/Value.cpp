// SPDX-License-Identifier: Apache-2.0
// Comparison, iteration and printing of values, as Python does them.
#include "runtime/chat/Value.h"
#include "runtime/chat/Text.h"
#include <algorithm>
#include <cmath>
#include <fmt/format.h>

namespace sinter::chat {

Value Value::undefined(std::string message) { return Value(Kind::Undefined, std::move(message)); }
std::string Value::name() const {
  return object ? *std::static_pointer_cast<const std::string>(object) : "the value is undefined";
}
Value Value::none() { return Value(Kind::None); }
Value Value::boolean(bool value) {
  Value result(Kind::Bool);
  result.word = value;
  return result;
}
Value Value::integer(int64_t value) {
  Value result(Kind::Integer);
  result.word = value;
  return result;
}
Value Value::real(double value) {
  Value result(Kind::Float);
  result.number = value;
  return result;
}
Value Value::string(std::string text) { return Value(Kind::String, std::move(text)); }
Value Value::list(List items) { return Value(Kind::List, std::move(items)); }
Value Value::tuple(List items) { return Value(Kind::Tuple, std::move(items)); }
Value Value::iterator(List items) { return Value(Kind::Iterator, std::move(items)); }
Value Value::dict(Entries entries) { return Value(Kind::Dict, std::move(entries)); }
Value Value::nameSpace(Entries entries) { return Value(Kind::Namespace, std::move(entries)); }
Value Value::callable(std::string name, std::function<Value(const Arguments &)> call) {
  return Value(Kind::Callable, Callable{std::move(name), std::move(call)});
}

bool Value::truth() const {
  switch (type) {
  case Kind::Undefined:
  case Kind::None:
    return false;
  case Kind::Bool:
  case Kind::Integer:
    return word != 0;
  case Kind::Float:
    return number != 0;
  case Kind::String:
    return !text().empty();
  case Kind::List:
  case Kind::Tuple:
    return !items().empty();
  case Kind::Dict:
    return !entries().empty();
  case Kind::Iterator:
  case Kind::Namespace:
  case Kind::Callable:
    return true;
  }
  return false;
}

const Value *Value::find(const Value &key) const {
  for (const auto &[name, value] : entries())
    if (equal(name, key))
      return &value;
  return nullptr;
}

const Value *Value::find(std::string_view key) const {
  for (const auto &[name, value] : entries())
    if (name.isString() && name.text() == key)
      return &value;
  return nullptr;
}

const char *Value::typeName() const {
  constexpr const char *names[] = {"Undefined", "NoneType", "bool",      "int",  "float",     "str",
                                   "list",      "tuple",    "generator", "dict", "Namespace", "function"};
  return names[size_t(type)];
}

namespace {

std::string joined(const List &items, const char *open, const char *close, bool tuple) {
  std::string out = open;
  for (size_t i = 0; i < items.size(); ++i)
    out += (i ? ", " : "") + items[i].repr();
  return out += tuple && items.size() == 1 ? "," + std::string(close) : close;
}

[[noreturn]] void unordered(const Value &a, const Value &b) {
  throw TemplateError{fmt::format("'<' is not supported between '{}' and '{}'", a.typeName(), b.typeName())};
}

} // namespace

std::string Value::str() const {
  switch (type) {
  case Kind::Undefined:
    return "";
  case Kind::String:
    return text();
  default:
    return repr();
  }
}

std::string Value::repr() const {
  switch (type) {
  case Kind::Undefined:
    return "Undefined";
  case Kind::None:
    return "None";
  case Kind::Bool:
    return word ? "True" : "False";
  case Kind::Integer:
    return std::to_string(word);
  case Kind::Float:
    return reprFloat(number);
  case Kind::String:
    return reprString(text());
  case Kind::List:
    return joined(items(), "[", "]", false);
  case Kind::Tuple:
    return joined(items(), "(", ")", true);
  case Kind::Iterator:
    throw TemplateError{"a generator has no text: expected it to go through |list or |join"};
  case Kind::Dict:
  case Kind::Namespace: {
    std::string out = is(Kind::Dict) ? "{" : "<Namespace {";
    for (size_t i = 0; i < entries().size(); ++i)
      out += (i ? ", " : "") + entries()[i].first.repr() + ": " + entries()[i].second.repr();
    return out += is(Kind::Dict) ? "}" : "}>";
  }
  case Kind::Callable:
    return fmt::format("<Macro '{}'>", function().name);
  }
  return "";
}

void setEntry(Entries &entries, Value key, Value value) {
  if (key.is(Value::Kind::List) || key.isMapping())
    throw TemplateError{fmt::format("a {} cannot be a key", key.typeName())};
  for (auto &[known, held] : entries)
    if (equal(known, key)) {
      held = std::move(value);
      return;
    }
  entries.emplace_back(std::move(key), std::move(value));
}

bool equal(const Value &a, const Value &b) {
  if (a.isNumber() && b.isNumber())
    return a.isInteger() && b.isInteger() ? a.asInteger() == b.asInteger() : a.asReal() == b.asReal();
  if (a.kind() != b.kind())
    return false;
  switch (a.kind()) {
  case Value::Kind::Undefined:
  case Value::Kind::None:
    return true;
  case Value::Kind::String:
    return a.text() == b.text();
  case Value::Kind::List:
  case Value::Kind::Tuple:
    return std::equal(a.items().begin(), a.items().end(), b.items().begin(), b.items().end(), equal);
  case Value::Kind::Dict:
    return a.entries().size() == b.entries().size() &&
           std::all_of(a.entries().begin(), a.entries().end(), [&](const auto &entry) {
             const Value *other = b.find(entry.first);
             return other && equal(entry.second, *other);
           });
  default:
    return a.identity() == b.identity();
  }
}

bool less(const Value &a, const Value &b) {
  if (a.isNumber() && b.isNumber())
    return a.isInteger() && b.isInteger() ? a.asInteger() < b.asInteger() : a.asReal() < b.asReal();
  if (a.isString() && b.isString())
    return a.text() < b.text(); // UTF-8 sorts as its code points
  if (a.kind() == b.kind() && (a.is(Value::Kind::List) || a.is(Value::Kind::Tuple)))
    for (size_t i = 0;; ++i) {
      if (i >= a.items().size() || i >= b.items().size())
        return a.items().size() < b.items().size();
      if (!equal(a.items()[i], b.items()[i]))
        return less(a.items()[i], b.items()[i]);
    }
  unordered(a, b);
}

bool contains(const Value &container, const Value &item) {
  if (container.isString()) {
    if (!item.isString())
      throw TemplateError{fmt::format("'in' on a string expects a string, found '{}'", item.typeName())};
    return container.text().find(item.text()) != std::string::npos;
  }
  if (container.is(Value::Kind::Dict))
    return container.find(item) != nullptr;
  const List items = iterate(container);
  return std::any_of(items.begin(), items.end(), [&](const Value &each) { return equal(each, item); });
}

List iterate(const Value &value) {
  List items;
  switch (value.kind()) {
  case Value::Kind::Undefined:
    return items;
  case Value::Kind::List:
  case Value::Kind::Tuple:
  case Value::Kind::Iterator:
    return value.items();
  case Value::Kind::String:
    for (size_t at = 0; at < value.text().size();) {
      const size_t begin = at;
      nextCodepoint(value.text(), at);
      items.push_back(Value::string(value.text().substr(begin, at - begin)));
    }
    return items;
  case Value::Kind::Dict:
    for (const auto &[key, content] : value.entries())
      items.push_back(key);
    return items;
  default:
    throw TemplateError{fmt::format("'{}' cannot be iterated over", value.typeName())};
  }
}

int64_t length(const Value &value) {
  switch (value.kind()) {
  case Value::Kind::Undefined:
    return 0;
  case Value::Kind::String:
    return countCodepoints(value.text());
  case Value::Kind::List:
  case Value::Kind::Tuple:
    return int64_t(value.items().size());
  case Value::Kind::Dict:
    return int64_t(value.entries().size());
  default:
    throw TemplateError{fmt::format("'{}' has no length", value.typeName())};
  }
}

namespace {

void writeJsonString(std::string &out, std::string_view text, bool ensureAscii) {
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const uint32_t c = nextCodepoint(text, at);
    switch (c) {
    case '"':
      out += "\\\"";
      continue;
    case '\\':
      out += "\\\\";
      continue;
    case '\n':
      out += "\\n";
      continue;
    case '\r':
      out += "\\r";
      continue;
    case '\t':
      out += "\\t";
      continue;
    case '\b':
      out += "\\b";
      continue;
    case '\f':
      out += "\\f";
      continue;
    }
    if (c >= 0x10000 && ensureAscii)
      out +=
          fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + ((c - 0x10000) & 0x3FF));
    else if (c < 0x20 || (ensureAscii && c > 0x7E))
      out += fmt::format("\\u{:04x}", c);
    else
      out += text.substr(begin, at - begin);
  }
  out += '"';
}

void writeJson(std::string &out, const Value &value, const JsonStyle &style, int depth);

/// `count` elements between brackets, each written by `element`.
template <typename Element>
void writeContainer(std::string &out, char open, char close, size_t count, const JsonStyle &style, int depth,
                    Element element) {
  out += open;
  const auto newLine = [&](int levels) {
    if (!style.multiline)
      return;
    out += '\n';
    for (int i = 0; i < levels; ++i)
      out += style.indent;
  };
  for (size_t i = 0; i < count; ++i) {
    if (i)
      out += style.itemSeparator;
    newLine(depth + 1);
    element(i);
  }
  if (count)
    newLine(depth);
  out += close;
}

std::string jsonKey(const Value &key) {
  switch (key.kind()) {
  case Value::Kind::String:
    return key.text();
  case Value::Kind::None:
    return "null";
  case Value::Kind::Bool:
    return key.truth() ? "true" : "false";
  case Value::Kind::Integer:
  case Value::Kind::Float:
    return key.repr();
  default:
    throw TemplateError{fmt::format("tojson: a key of type '{}' cannot be written", key.typeName())};
  }
}

void writeJson(std::string &out, const Value &value, const JsonStyle &style, int depth) {
  if (depth > 100)
    throw TemplateError{"tojson: the value is nested more than 100 deep"};
  switch (value.kind()) {
  case Value::Kind::None:
    out += "null";
    return;
  case Value::Kind::Bool:
    out += value.truth() ? "true" : "false";
    return;
  case Value::Kind::Integer:
    out += value.repr();
    return;
  case Value::Kind::Float: {
    const double number = value.asReal();
    out += std::isnan(number)   ? "NaN"
           : std::isinf(number) ? (number > 0 ? "Infinity" : "-Infinity")
                                : value.repr();
    return;
  }
  case Value::Kind::String:
    return writeJsonString(out, value.text(), style.ensureAscii);
  case Value::Kind::List:
  case Value::Kind::Tuple:
    return writeContainer(out, '[', ']', value.items().size(), style, depth,
                          [&](size_t i) { writeJson(out, value.items()[i], style, depth + 1); });
  case Value::Kind::Dict: {
    Entries entries = value.entries();
    if (style.sortKeys)
      std::sort(entries.begin(), entries.end(),
                [](const auto &a, const auto &b) { return less(a.first, b.first); });
    return writeContainer(out, '{', '}', entries.size(), style, depth, [&](size_t i) {
      writeJsonString(out, jsonKey(entries[i].first), style.ensureAscii);
      out += style.keySeparator;
      writeJson(out, entries[i].second, style, depth + 1);
    });
  }
  default:
    throw TemplateError{
        fmt::format("tojson: a value of type '{}' cannot be written as JSON", value.typeName())};
  }
}

} // namespace

std::string toJson(const Value &value, const JsonStyle &style) {
  std::string out;
  writeJson(out, value, style, 0);
  return out;
}

} // namespace sinter::chat
