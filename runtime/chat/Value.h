// SPDX-License-Identifier: Apache-2.0
// The values a template computes with: Python's, without those that can change. As in the sandbox that
// transformers renders templates in, lists and dictionaries are constant; namespaces are the one thing that
// can be assigned to.
#ifndef SINTER_RUNTIME_CHAT_VALUE_H
#define SINTER_RUNTIME_CHAT_VALUE_H

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sinter::chat {

/// Thrown inside the interpreter, caught at its border.
struct TemplateError {
  std::string message;
  int line = 0; ///< 0: not yet known
};

class Value;
using List = std::vector<Value>;
using Entries = std::vector<std::pair<Value, Value>>; // a dictionary, in order of insertion

/// What a call is given.
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Callable {
  std::string name;
  std::function<Value(const Arguments &)> call;
};

class Value {
public:
  enum class Kind : uint8_t {
    Undefined,
    None,
    Bool,
    Integer,
    Float,
    String,
    List,
    Tuple,
    Iterator, ///< what a Python generator would be: it can only be walked; held as a list
    Dict,
    Namespace,
    Callable
  };

  Value() = default; ///< undefined
  static Value undefined(std::string message);
  static Value none();
  static Value boolean(bool value);
  static Value integer(int64_t value);
  static Value real(double value);
  static Value string(std::string text);
  static Value list(List items);
  static Value tuple(List items);
  static Value iterator(List items);
  static Value dict(Entries entries);
  static Value nameSpace(Entries entries);
  static Value callable(std::string name, std::function<Value(const Arguments &)> call);

  Kind kind() const { return type; }
  bool is(Kind kind) const { return type == kind; }
  bool isUndefined() const { return type == Kind::Undefined; }
  bool isString() const { return type == Kind::String; }
  bool isInteger() const { return type == Kind::Integer || type == Kind::Bool; } ///< bool is an int
  bool isNumber() const { return isInteger() || type == Kind::Float; }
  bool isSequence() const { return type == Kind::List || type == Kind::Tuple || type == Kind::Iterator; }
  bool isMapping() const { return type == Kind::Dict || type == Kind::Namespace; }

  int64_t asInteger() const { return word; }
  double asReal() const { return type == Kind::Float ? number : double(word); }
  const std::string &text() const { return *std::static_pointer_cast<const std::string>(object); }
  const List &items() const { return *std::static_pointer_cast<const List>(object); }
  Entries &entries() const { return *std::static_pointer_cast<Entries>(object); }
  const Callable &function() const { return *std::static_pointer_cast<const Callable>(object); }
  /// Of an undefined value: why it is undefined, as a message.
  std::string name() const;
  const void *identity() const { return object.get(); }

  bool truth() const;
  /// The value under `key`, or null.
  const Value *find(const Value &key) const;
  const Value *find(std::string_view key) const;

  std::string str() const;  ///< str(): as it is written out
  std::string repr() const; ///< repr(): as a list shows it
  const char *typeName() const;

private:
  Kind type = Kind::Undefined;
  int64_t word = 0;
  double number = 0;
  std::shared_ptr<void> object; // text, items, entries, function; an undefined value's message
  explicit Value(Kind kind) : type(kind) {}
  template <typename T>
  Value(Kind kind, T content) : type(kind), object(std::make_shared<T>(std::move(content))) {}
};

/// entries[key] = value, as a dictionary does it.
void setEntry(Entries &entries, Value key, Value value);
/// Python's ==.
bool equal(const Value &a, const Value &b);
/// Python's <; throws for types that have no order.
bool less(const Value &a, const Value &b);
/// Python's `item in container`.
bool contains(const Value &container, const Value &item);
/// The items that a for loop would see: of strings the characters, of dictionaries the keys.
List iterate(const Value &value);
/// len(); throws for what has none.
int64_t length(const Value &value);
/// The arguments of json.dumps.
struct JsonStyle {
  bool ensureAscii = false, sortKeys = false;
  std::string indent;     ///< of one level
  bool multiline = false; ///< an indent was given
  std::string itemSeparator = ", ", keySeparator = ": ";
};
/// json.dumps(value, ...).
std::string toJson(const Value &value, const JsonStyle &style);

} // namespace sinter::chat

#endif // SINTER_RUNTIME_CHAT_VALUE_H
