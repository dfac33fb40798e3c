// SPDX-License-Identifier: Apache-2.0
// Typed access to the metadata and tensors of an open GGUF file. GgufParser.cpp opens it.
#include "runtime/files/Gguf.h"
#include "runtime/files/GgufParser.h"

#include <cassert>
#include <cstring>
#include <limits>

namespace sinter {

std::string_view ggufTypeName(GgufType type) {
  constexpr std::string_view names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                        "bool", "string", "array", "u64", "i64", "f64"};
  size_t index = static_cast<size_t>(type);
  assert(index < std::size(names) && "a type that the parser accepted");
  return names[index];
}

std::string_view GgufStrings::Iterator::operator*() const {
  uint64_t length;
  std::memcpy(&length, at, sizeof length);
  return {reinterpret_cast<const char *>(at) + sizeof length, static_cast<size_t>(length)};
}

GgufStrings::Iterator &GgufStrings::Iterator::operator++() {
  uint64_t length;
  std::memcpy(&length, at, sizeof length);
  at += sizeof length + length;
  return *this;
}

const std::string &Gguf::path() const { return contents->path; }
uint32_t Gguf::version() const { return contents->version; }
uint64_t Gguf::alignment() const { return contents->alignment; }
std::span<const GgufValue> Gguf::metadata() const { return contents->metadata; }
std::span<const GgufTensor> Gguf::tensors() const { return contents->tensors; }

const GgufValue *Gguf::find(std::string_view key) const {
  auto found = contents->keys.find(key);
  return found == contents->keys.end() ? nullptr : &contents->metadata[found->second];
}

const GgufTensor *Gguf::tensor(std::string_view name) const {
  auto found = contents->names.find(name);
  return found == contents->names.end() ? nullptr : &contents->tensors[found->second];
}

namespace {

template <typename T> T load(const std::byte *from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

bool isInteger(GgufType type) {
  switch (type) {
  case GgufType::U8:
  case GgufType::I8:
  case GgufType::U16:
  case GgufType::I16:
  case GgufType::U32:
  case GgufType::I32:
  case GgufType::U64:
  case GgufType::I64:
    return true;
  default:
    return false;
  }
}

bool isReal(GgufType type) { return type == GgufType::F32 || type == GgufType::F64; }

/// Element `index` of an integer type; U64 above the largest i64 wraps to a negative number.
int64_t integerAt(const GgufValue &value, uint64_t index) {
  const std::byte *data = value.bytes.data();
  switch (value.type) {
  case GgufType::U8:
    return load<uint8_t>(data + index);
  case GgufType::I8:
    return load<int8_t>(data + index);
  case GgufType::U16:
    return load<uint16_t>(data + 2 * index);
  case GgufType::I16:
    return load<int16_t>(data + 2 * index);
  case GgufType::U32:
    return load<uint32_t>(data + 4 * index);
  case GgufType::I32:
    return load<int32_t>(data + 4 * index);
  default:
    return load<int64_t>(data + 8 * index);
  }
}

double realAt(const GgufValue &value, uint64_t index) {
  const std::byte *data = value.bytes.data();
  return value.type == GgufType::F32 ? load<float>(data + 4 * index) : load<double>(data + 8 * index);
}

tl::unexpected<Error> mismatch(const GgufValue &value, std::string_view expected) {
  std::string found(ggufTypeName(value.type));
  if (value.isArray)
    found = fmt::format("an array of {} {}", value.count, found);
  return fail("{}: metadata key '{}' (byte {}): expected {}, found {}", value.file, value.key, value.offset,
              expected, found);
}

/// The array's integers as T; fails on one that does not fit.
template <typename T> Result<std::vector<T>> integers(const GgufValue &value) {
  if (!value.isArray || !isInteger(value.type))
    return mismatch(value, "an array of integers");
  std::vector<T> elements(value.count);
  for (uint64_t i = 0; i < value.count; ++i) {
    int64_t element = integerAt(value, i);
    elements[i] = static_cast<T>(element);
    if (elements[i] != element || (value.type == GgufType::U64 && element < 0))
      return fail("{}: metadata key '{}' (byte {}): expected integers of {} bits, found {} as element {}",
                  value.file, value.key, value.offset, 8 * sizeof(T),
                  value.type == GgufType::U64 ? fmt::format("{}", static_cast<uint64_t>(element))
                                              : fmt::format("{}", element),
                  i);
  }
  return elements;
}

template <typename T> Result<std::vector<T>> reals(const GgufValue &value) {
  if (!value.isArray || !isReal(value.type))
    return mismatch(value, "an array of floating-point numbers");
  std::vector<T> elements(value.count);
  for (uint64_t i = 0; i < value.count; ++i)
    elements[i] = static_cast<T>(realAt(value, i));
  return elements;
}

} // namespace

template <> Result<bool> GgufValue::as() const {
  if (isArray || type != GgufType::Bool)
    return mismatch(*this, "a bool");
  return bytes[0] != std::byte{0};
}

template <> Result<int64_t> GgufValue::as() const {
  if (isArray || !isInteger(type))
    return mismatch(*this, "an integer");
  int64_t value = integerAt(*this, 0);
  if (type == GgufType::U64 && value < 0)
    return fail("{}: metadata key '{}' (byte {}): expected an integer below 2^63, found {}", file, key,
                offset, static_cast<uint64_t>(value));
  return value;
}

template <> Result<double> GgufValue::as() const {
  if (isArray || (!isInteger(type) && !isReal(type)))
    return mismatch(*this, "a number");
  if (isReal(type))
    return realAt(*this, 0);
  int64_t value = integerAt(*this, 0);
  return type == GgufType::U64 ? static_cast<double>(static_cast<uint64_t>(value))
                               : static_cast<double>(value);
}

template <> Result<std::string_view> GgufValue::as() const {
  if (isArray || type != GgufType::String)
    return mismatch(*this, "a string");
  return *GgufStrings(bytes, 1).begin();
}

template <> Result<std::string> GgufValue::as() const {
  Result<std::string_view> view = as<std::string_view>();
  if (!view)
    return tl::unexpected(view.error());
  return std::string(*view);
}

template <> Result<GgufStrings> GgufValue::as() const {
  if (!isArray || type != GgufType::String)
    return mismatch(*this, "an array of strings");
  return GgufStrings(bytes, count);
}

template <> Result<std::vector<int32_t>> GgufValue::as() const { return integers<int32_t>(*this); }
template <> Result<std::vector<int64_t>> GgufValue::as() const { return integers<int64_t>(*this); }
template <> Result<std::vector<float>> GgufValue::as() const { return reals<float>(*this); }
template <> Result<std::vector<double>> GgufValue::as() const { return reals<double>(*this); }

template <> Result<std::vector<bool>> GgufValue::as() const {
  if (!isArray || type != GgufType::Bool)
    return mismatch(*this, "an array of bools");
  std::vector<bool> elements(count);
  for (uint64_t i = 0; i < count; ++i)
    elements[i] = bytes[i] != std::byte{0};
  return elements;
}

template <> Result<std::vector<std::string>> GgufValue::as() const {
  Result<GgufStrings> strings = as<GgufStrings>();
  if (!strings)
    return tl::unexpected(strings.error());
  return std::vector<std::string>(strings->begin(), strings->end());
}

} // namespace sinter
