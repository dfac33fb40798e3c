// SPDX-License-Identifier: Apache-2.0
// Reads JSON into a compact tree with typed, located access: every error names the file, the key's path, the
// byte, what was expected and what was found.
#ifndef SINTER_RUNTIME_FILES_JSON_H
#define SINTER_RUNTIME_FILES_JSON_H

#include "runtime/Result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

struct JsonDocument;

/// A value inside a parsed document, or the absence of one. A view: the Json it comes from must outlive it.
class JsonValue {
public:
  enum class Kind : uint8_t { Absent, Null, Bool, Integer, Real, String, Array, Object };

  JsonValue() = default;

  Kind kind() const;
  bool isAbsent() const { return kind() == Kind::Absent; }
  bool isNull() const { return kind() == Kind::Null; }
  /// Neither absent nor null.
  bool hasValue() const { return !isAbsent() && !isNull(); }
  bool isBool() const { return kind() == Kind::Bool; }
  bool isNumber() const { return kind() == Kind::Integer || kind() == Kind::Real; }
  bool isString() const { return kind() == Kind::String; }
  bool isArray() const { return kind() == Kind::Array; }
  bool isObject() const { return kind() == Kind::Object; }

  /// Elements of an array or members of an object; 0 for anything else.
  size_t size() const;
  /// The name under which this value stands in its object; empty elsewhere.
  std::string_view key() const;
  /// Where the value begins in the text, in bytes.
  size_t offset() const;
  /// "config.json: key 'rope_scaling.factor' (byte 812)", the beginning of a message about this value.
  std::string where() const;
  /// The value in a few words for a message: `null`, `12`, `"gelu"`, `an array of 3`, `nothing`.
  std::string describe() const;

  /// The member `key`: absent if this is no object or has no such member; of equal names the last, as Python
  /// reads. Takes time linear in the number of members: walk big objects with a for loop.
  JsonValue operator[](std::string_view key) const;
  bool has(std::string_view key) const { return !(*this)[key].isAbsent(); }
  /// Element `index` of an array, absent beyond its end. Linear in the index.
  JsonValue element(size_t index) const;

  /// Walks the elements of an array or the members of an object, in the order of the text.
  class Iterator {
  public:
    Iterator(const JsonDocument *document, uint32_t node) : document(document), node(node) {}
    JsonValue operator*() const { return JsonValue(document, node); }
    Iterator &operator++();
    bool operator==(const Iterator &other) const { return node == other.node; }

  private:
    const JsonDocument *document;
    uint32_t node;
  };
  Iterator begin() const;
  Iterator end() const { return {document, 0}; }

  /// The value as T: bool, int64_t, double, std::string_view, std::string, or a std::vector of int64_t,
  /// double or std::string. An integer is also a double; a number written as 4096.0 is also an integer.
  template <typename T> Result<T> as() const;
  /// The member `key` as T; absent and null are errors.
  template <typename T> Result<T> get(std::string_view key) const { return (*this)[key].as<T>(); }
  /// The member `key` as T, or nothing when it is absent or null; another type is an error.
  template <typename T> Result<std::optional<T>> find(std::string_view key) const {
    JsonValue member = (*this)[key];
    if (!member.hasValue())
      return std::optional<T>();
    Result<T> value = member.as<T>();
    if (!value)
      return tl::unexpected(value.error());
    return std::optional<T>(std::move(*value));
  }
  /// The member `key` as T, or `otherwise` when it is absent or null; another type is an error.
  template <typename T> Result<T> getOr(std::string_view key, T otherwise) const {
    JsonValue member = (*this)[key];
    return member.hasValue() ? member.as<T>() : Result<T>(std::move(otherwise));
  }

private:
  friend class Json;
  JsonValue(const JsonDocument *document, uint32_t node, std::string_view absent = {}, bool found = true)
      : document(document), node(node), found(found), absentKey(absent) {}
  tl::unexpected<Error> mismatch(std::string_view expected) const;

  const JsonDocument *document = nullptr;
  uint32_t node = 0;          // of an absent value, the node that lacks it
  bool found = false;         //
  std::string_view absentKey; // the key that was looked up in vain
};

/// A parsed JSON text. Accepts what Python's json module accepts (NaN, Infinity and -Infinity too) in valid
/// UTF-8; lone surrogate escapes become U+FFFD.
class Json {
public:
  /// Deepest nesting of arrays and objects.
  static constexpr int depthLimit = 256;

  /// Parses `text`; `name` stands for it in messages. Errors carry name, line, column and byte.
  static Result<Json> parse(std::string text, std::string name);
  /// Reads and parses a file.
  static Result<Json> read(const std::string &path);

  Json(Json &&) noexcept;
  Json &operator=(Json &&) noexcept;
  ~Json();

  JsonValue root() const { return JsonValue(document.get(), 0); }
  const std::string &name() const;

private:
  explicit Json(std::unique_ptr<JsonDocument> document);
  std::unique_ptr<JsonDocument> document;
};

template <> Result<bool> JsonValue::as() const;
template <> Result<int64_t> JsonValue::as() const;
template <> Result<double> JsonValue::as() const;
template <> Result<std::string_view> JsonValue::as() const;
template <> Result<std::string> JsonValue::as() const;
template <> Result<std::vector<int64_t>> JsonValue::as() const;
template <> Result<std::vector<double>> JsonValue::as() const;
template <> Result<std::vector<std::string>> JsonValue::as() const;

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_JSON_H
