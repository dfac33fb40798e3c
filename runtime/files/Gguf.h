// SPDX-License-Identifier: Apache-2.0
// Reads GGUF files (llama.cpp's format; versions 2 and 3, little-endian): typed metadata and tensors in
// place.
#ifndef SINTER_RUNTIME_FILES_GGUF_H
#define SINTER_RUNTIME_FILES_GGUF_H

#include "runtime/Result.h"
#include "runtime/files/BlockFormats.h"

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

/// Numbers as in the file.
enum class GgufType : uint32_t { U8, I8, U16, I16, U32, I32, F32, Bool, String, Array, U64, I64, F64 };
std::string_view ggufTypeName(GgufType type);

/// An array of strings, read in place while it is walked: opening a file with 262,144 tokens copies none of
/// them. The lengths were checked when the file was opened.
class GgufStrings {
public:
  class Iterator {
  public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;
    using reference = std::string_view;
    using pointer = void;

    Iterator() = default;
    explicit Iterator(const std::byte *at) : at(at) {}
    std::string_view operator*() const;
    Iterator &operator++();
    Iterator operator++(int) {
      Iterator before = *this;
      ++*this;
      return before;
    }
    bool operator==(const Iterator &other) const = default;

  private:
    const std::byte *at = nullptr;
  };

  GgufStrings() = default;
  GgufStrings(std::span<const std::byte> bytes, size_t count) : bytes(bytes), count(count) {}
  size_t size() const { return count; }
  Iterator begin() const { return Iterator(bytes.data()); }
  Iterator end() const { return Iterator(bytes.data() + bytes.size()); }

private:
  std::span<const std::byte> bytes;
  size_t count = 0;
};

/// A metadata entry. A view into the file.
struct GgufValue {
  std::string_view key;
  GgufType type = GgufType::U8;     // of the value, or of the elements of an array
  bool isArray = false;             //
  uint64_t count = 1;               // elements of an array
  std::span<const std::byte> bytes; // of the value or the elements (strings with their lengths)
  uint64_t offset = 0;              // of `bytes` in the file
  std::string_view file;            // for messages

  /// The value as T: bool, int64_t (from any integer type), double (from any number), std::string_view,
  /// std::string, GgufStrings, or a std::vector of int32_t, int64_t, float, double, bool or std::string (from
  /// an array of such). Errors name the file, key, byte, what was expected and found.
  template <typename T> Result<T> as() const;
};

struct GgufTensor {
  std::string_view name;
  const BlockFormat *format;        // one without `dequantize` cannot be used, only named
  std::vector<int64_t> shape;       // outermost first, as transformers writes it: {rows, columns}
  std::span<const std::byte> bytes; // in the file
  uint64_t offset;                  // of `bytes` in the file
};

/// An open GGUF file. Cheap to copy: copies share the mapping, which lives as long as one of them.
class Gguf {
public:
  /// Maps and checks a file: every length, offset and shape in bounds, no duplicate keys or names, no
  /// overlaps.
  static Result<Gguf> open(const std::string &path);
  /// The same over bytes that outlive the result; `name` stands for them in messages.
  static Result<Gguf> parse(std::span<const std::byte> bytes, std::string name);

  const std::string &path() const;
  uint32_t version() const;
  uint64_t alignment() const;

  std::span<const GgufValue> metadata() const; // in the order of the file
  const GgufValue *find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }

  /// Required: an absent key is an error.
  template <typename T> Result<T> get(std::string_view key) const {
    const GgufValue *value = find(key);
    if (!value)
      return fail("{}: expected metadata key '{}', found none", path(), key);
    return value->as<T>();
  }
  /// Nothing when the key is absent; another type is an error.
  template <typename T> Result<std::optional<T>> findAs(std::string_view key) const {
    const GgufValue *value = find(key);
    if (!value)
      return std::optional<T>();
    Result<T> result = value->as<T>();
    if (!result)
      return tl::unexpected(result.error());
    return std::optional<T>(std::move(*result));
  }
  template <typename T> Result<T> getOr(std::string_view key, T otherwise) const {
    const GgufValue *value = find(key);
    return value ? value->as<T>() : Result<T>(std::move(otherwise));
  }

  std::span<const GgufTensor> tensors() const; // in the order of the file
  const GgufTensor *tensor(std::string_view name) const;

private:
  struct Contents;
  friend class GgufParser;
  explicit Gguf(std::shared_ptr<const Contents> contents) : contents(std::move(contents)) {}
  std::shared_ptr<const Contents> contents;
};

template <> Result<bool> GgufValue::as() const;
template <> Result<int64_t> GgufValue::as() const;
template <> Result<double> GgufValue::as() const;
template <> Result<std::string_view> GgufValue::as() const;
template <> Result<std::string> GgufValue::as() const;
template <> Result<GgufStrings> GgufValue::as() const;
template <> Result<std::vector<int32_t>> GgufValue::as() const;
template <> Result<std::vector<int64_t>> GgufValue::as() const;
template <> Result<std::vector<float>> GgufValue::as() const;
template <> Result<std::vector<double>> GgufValue::as() const;
template <> Result<std::vector<bool>> GgufValue::as() const;
template <> Result<std::vector<std::string>> GgufValue::as() const;

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_GGUF_H
