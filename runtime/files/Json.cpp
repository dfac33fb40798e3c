// SPDX-License-Identifier: Apache-2.0
// Access to a parsed JSON tree, and the messages about what is wrong with it.
#include "runtime/files/Json.h"
#include "runtime/files/JsonDocument.h"
#include "runtime/files/MappedFile.h"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sinter {

Json::Json(std::unique_ptr<JsonDocument> document) : document(std::move(document)) {}
Json::Json(Json &&) noexcept = default;
Json &Json::operator=(Json &&) noexcept = default;
Json::~Json() = default;

const std::string &Json::name() const { return document->name; }

Result<Json> Json::parse(std::string text, std::string name) {
  auto document = std::make_unique<JsonDocument>();
  document->name = std::move(name);
  document->text = std::move(text);
  if (Result<> parsed = parseJson(*document); !parsed)
    return tl::unexpected(parsed.error());
  return Json(std::move(document));
}

Result<Json> Json::read(const std::string &path) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file)
    return tl::unexpected(file.error());
  return parse(std::string(file->text()), path);
}

JsonValue::Kind JsonValue::kind() const { return found ? document->nodes[node].kind : Kind::Absent; }

size_t JsonValue::size() const { return found ? document->nodes[node].count : 0; }

std::string_view JsonValue::key() const {
  return found ? document->at(document->nodes[node].key) : std::string_view();
}

size_t JsonValue::offset() const { return document ? document->nodes[node].offset : 0; }

std::string JsonValue::where() const {
  if (!document)
    return "JSON";
  std::vector<std::string> steps;
  if (!found && !absentKey.empty())
    steps.emplace_back(absentKey);
  for (uint32_t at = node; at != 0; at = document->nodes[at].parent) {
    uint32_t parent = document->nodes[at].parent;
    if (document->nodes[parent].kind == Kind::Object) {
      steps.emplace_back(document->at(document->nodes[at].key));
      continue;
    }
    size_t index = 0;
    for (uint32_t child = parent + 1; child != at; child = document->nodes[child].next)
      ++index;
    steps.push_back(fmt::format("[{}]", index));
  }
  if (steps.empty())
    return document->name;
  std::string path;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    if (!path.empty() && !step->starts_with('['))
      path += '.';
    path += *step;
  }
  return fmt::format("{}: key '{}' (byte {})", document->name, path, offset());
}

std::string JsonValue::describe() const {
  switch (kind()) {
  case Kind::Absent:
    return "nothing";
  case Kind::Null:
    return "null";
  case Kind::Bool:
    return document->nodes[node].boolean ? "true" : "false";
  case Kind::Integer:
  case Kind::Real: {
    // As it is written: a double would not show all digits.
    std::string_view text = std::string_view(document->text).substr(offset());
    return std::string(text.substr(0, std::min<size_t>(text.find_first_of(" \t\r\n,]}"), 60)));
  }
  case Kind::String: {
    std::string_view text = document->at(document->nodes[node].string);
    if (text.size() <= 60)
      return fmt::format("\"{}\"", text);
    size_t cut = 60;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80)
      --cut;
    return fmt::format("\"{}...\"", text.substr(0, cut));
  }
  case Kind::Array:
    return fmt::format("an array of {}", size());
  case Kind::Object:
    return fmt::format("an object of {}", size());
  }
  return "nothing";
}

JsonValue JsonValue::operator[](std::string_view key) const {
  if (!found)
    return *this;
  uint32_t last = 0;
  if (isObject())
    for (JsonValue member : *this)
      if (member.key() == key)
        last = member.node;
  return last ? JsonValue(document, last) : JsonValue(document, node, key, false);
}

JsonValue JsonValue::element(size_t index) const {
  if (isArray())
    for (JsonValue element : *this)
      if (index-- == 0)
        return element;
  return JsonValue(document, node, "[]", false);
}

JsonValue::Iterator &JsonValue::Iterator::operator++() {
  node = document->nodes[node].next;
  return *this;
}

JsonValue::Iterator JsonValue::begin() const { return {document, size() ? node + 1 : 0}; }

tl::unexpected<Error> JsonValue::mismatch(std::string_view expected) const {
  return fail("{}: expected {}, found {}", where(), expected, describe());
}

template <> Result<bool> JsonValue::as() const {
  if (!isBool())
    return mismatch("true or false");
  return document->nodes[node].boolean;
}

template <> Result<int64_t> JsonValue::as() const {
  if (kind() == Kind::Integer)
    return document->nodes[node].integer;
  // Integers that went through a float stay exact up to 2^53.
  if (kind() == Kind::Real) {
    double real = document->nodes[node].real;
    if (std::abs(real) <= 9007199254740992.0 && real == std::trunc(real))
      return static_cast<int64_t>(real);
  }
  return mismatch("an integer of 64 bits");
}

template <> Result<double> JsonValue::as() const {
  if (kind() == Kind::Integer)
    return static_cast<double>(document->nodes[node].integer);
  if (kind() == Kind::Real)
    return document->nodes[node].real;
  return mismatch("a number");
}

template <> Result<std::string_view> JsonValue::as() const {
  if (!isString())
    return mismatch("a string");
  return document->at(document->nodes[node].string);
}

template <> Result<std::string> JsonValue::as() const {
  Result<std::string_view> view = as<std::string_view>();
  if (!view)
    return tl::unexpected(view.error());
  return std::string(*view);
}

namespace {

template <typename T> Result<std::vector<T>> elementsAs(const JsonValue &array) {
  std::vector<T> elements;
  elements.reserve(array.size());
  for (JsonValue element : array) {
    Result<T> value = element.as<T>();
    if (!value)
      return tl::unexpected(value.error());
    elements.push_back(std::move(*value));
  }
  return elements;
}

} // namespace

template <> Result<std::vector<int64_t>> JsonValue::as() const {
  return isArray() ? elementsAs<int64_t>(*this) : mismatch("an array of integers");
}

template <> Result<std::vector<double>> JsonValue::as() const {
  return isArray() ? elementsAs<double>(*this) : mismatch("an array of numbers");
}

template <> Result<std::vector<std::string>> JsonValue::as() const {
  return isArray() ? elementsAs<std::string>(*this) : mismatch("an array of strings");
}

} // namespace sinter
