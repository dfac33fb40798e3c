// SPDX-License-Identifier: Apache-2.0
// Opens a GGUF file: header, metadata, table of tensors, each field checked against the bytes that are there
// before it is used. Layout: docs/gguf.md in the ggml repository.
#include "runtime/files/GgufParser.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sinter {
namespace {

/// Bytes of a type of fixed size; 0 for strings and arrays.
uint64_t sizeOf(GgufType type) {
  constexpr uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
  return sizes[static_cast<size_t>(type)];
}

constexpr uint64_t nameLimit = 65535; // the format's limit for keys; names of tensors are far shorter

} // namespace

class GgufParser {
public:
  GgufParser(std::span<const std::byte> bytes, Gguf::Contents &contents) : bytes(bytes), contents(contents) {}

  Result<> parse() {
    if (Result<> header = parseHeader(); !header)
      return header;
    if (Result<> metadata = parseMetadata(); !metadata)
      return metadata;
    if (Result<> settings = checkSettings(); !settings)
      return settings;
    if (Result<> table = parseTensors(); !table)
      return table;
    return checkOverlaps();
  }

  static Result<Gguf> make(std::span<const std::byte> bytes, std::shared_ptr<Gguf::Contents> contents) {
    if (Result<> parsed = GgufParser(bytes, *contents).parse(); !parsed)
      return tl::unexpected(parsed.error());
    return Gguf(std::move(contents));
  }

  static Result<Gguf> open(const std::string &path) {
    Result<MappedFile> mapping = MappedFile::open(path);
    if (!mapping)
      return tl::unexpected(mapping.error());
    auto contents = std::make_shared<Gguf::Contents>();
    contents->path = path;
    contents->mapping = std::move(*mapping);
    return make(contents->mapping.bytes(), contents);
  }

  static Result<Gguf> parse(std::span<const std::byte> bytes, std::string name) {
    auto contents = std::make_shared<Gguf::Contents>();
    contents->path = std::move(name);
    return make(bytes, std::move(contents));
  }

private:
  std::span<const std::byte> bytes;
  Gguf::Contents &contents;
  uint64_t at = 0;
  uint64_t tensorCount = 0, metadataCount = 0;

  uint64_t left() const { return bytes.size() - at; }

  template <typename... Args>
  tl::unexpected<Error> failAt(uint64_t offset, fmt::format_string<Args...> format, Args &&...args) const {
    return fail("{} (byte {}): {}", contents.path, offset, fmt::format(format, std::forward<Args>(args)...));
  }

  /// A number of the file. `what` says what it is, for the message when the file ends too early.
  template <typename T> Result<T> number(std::string_view what) {
    if (left() < sizeof(T))
      return failAt(at, "expected {} of {} bytes, found the end of the file after {}", what, sizeof(T),
                    left());
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    at += sizeof value;
    return value;
  }

  Result<std::string_view> string(std::string_view what, uint64_t limit) {
    uint64_t start = at;
    Result<uint64_t> length = number<uint64_t>(what);
    if (!length)
      return tl::unexpected(length.error());
    if (*length > limit)
      return failAt(start, "expected {} of at most {} bytes, found a length of {}", what, limit, *length);
    if (*length > left())
      return failAt(start, "expected {} of {} bytes, found the end of the file after {}", what, *length,
                    left());
    std::string_view text(reinterpret_cast<const char *>(bytes.data() + at), *length);
    at += *length;
    return text;
  }

  Result<> parseHeader() {
    constexpr std::string_view magic = "GGUF";
    if (bytes.size() < magic.size() || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
      return failAt(0, "expected a GGUF file, which begins with \"GGUF\"");
    at = magic.size();
    Result<uint32_t> version = number<uint32_t>("the version");
    if (!version)
      return tl::unexpected(version.error());
    if (std::byteswap(*version) >= 1 && std::byteswap(*version) <= 3)
      return failAt(4, "expected a little-endian file, found a big-endian one; convert it with "
                       "gguf_convert_endian.py");
    if (*version != 2 && *version != 3)
      return failAt(4, "expected version 2 or 3 of the format, found {}", *version);
    contents.version = *version;

    Result<uint64_t> tensors = number<uint64_t>("the number of tensors");
    Result<uint64_t> entries = tensors ? number<uint64_t>("the number of metadata entries") : tensors;
    if (!entries)
      return tl::unexpected(entries.error());
    // The smallest tensor takes 32 bytes of the table, the smallest entry 13: more cannot follow.
    if (*tensors > left() / 32)
      return failAt(8, "expected at most {} tensors in a file of {} bytes, found {}", left() / 32,
                    bytes.size(), *tensors);
    if (*entries > left() / 13)
      return failAt(16, "expected at most {} metadata entries in a file of {} bytes, found {}", left() / 13,
                    bytes.size(), *entries);
    tensorCount = *tensors;
    metadataCount = *entries;
    return {};
  }

  Result<GgufType> type(std::string_view key) {
    Result<uint32_t> number = this->number<uint32_t>("a type");
    if (!number)
      return tl::unexpected(number.error());
    if (*number > static_cast<uint32_t>(GgufType::F64))
      return failAt(at - 4, "metadata key '{}': expected a type from 0 to 12, found {}", key, *number);
    return static_cast<GgufType>(*number);
  }

  Result<> parseMetadata() {
    contents.metadata.reserve(metadataCount);
    for (uint64_t i = 0; i < metadataCount; ++i) {
      uint64_t start = at;
      GgufValue value;
      value.file = contents.path;
      Result<std::string_view> key = string("a metadata key", nameLimit);
      if (!key)
        return tl::unexpected(key.error());
      value.key = *key;
      Result<GgufType> type = this->type(*key);
      if (!type)
        return tl::unexpected(type.error());
      value.type = *type;
      if (*type == GgufType::Array)
        if (Result<> header = parseArrayHeader(value); !header)
          return header;
      if (Result<> skipped = skipElements(value); !skipped)
        return skipped;
      if (!contents.keys.emplace(value.key, contents.metadata.size()).second)
        return failAt(start, "expected each metadata key once, found '{}' again", value.key);
      contents.metadata.push_back(value);
    }
    return {};
  }

  Result<> parseArrayHeader(GgufValue &value) {
    Result<GgufType> element = type(value.key);
    if (!element)
      return tl::unexpected(element.error());
    if (*element == GgufType::Array)
      return failAt(at - 4,
                    "metadata key '{}': expected an array of numbers or strings, found an array of arrays",
                    value.key);
    Result<uint64_t> count = number<uint64_t>("the length of an array");
    if (!count)
      return tl::unexpected(count.error());
    value.isArray = true;
    value.type = *element;
    value.count = *count;
    return {};
  }

  /// Steps over the elements of `value`, whose type and count are known, and notes where they are.
  Result<> skipElements(GgufValue &value) {
    value.offset = at;
    // A string takes at least the eight bytes of its length.
    uint64_t smallest = value.type == GgufType::String ? 8 : sizeOf(value.type);
    if (value.count > left() / smallest)
      return failAt(at,
                    "metadata key '{}': expected {} {} of at least {} bytes each, found the end of the file "
                    "after {} bytes",
                    value.key, value.count, ggufTypeName(value.type), smallest, left());
    if (value.type != GgufType::String) {
      at += value.count * smallest;
    } else {
      for (uint64_t i = 0; i < value.count; ++i)
        if (Result<std::string_view> text = string(value.key, left()); !text)
          return tl::unexpected(text.error());
    }
    value.bytes = bytes.subspan(value.offset, at - value.offset);
    return {};
  }

  /// The entries that change how the rest of the file is read.
  Result<> checkSettings() {
    if (auto alignment = contents.keys.find("general.alignment"); alignment != contents.keys.end()) {
      const GgufValue &value = contents.metadata[alignment->second];
      Result<int64_t> number = value.as<int64_t>();
      if (!number)
        return tl::unexpected(number.error());
      if (*number <= 0 || *number > 1 << 30 || !std::has_single_bit(static_cast<uint64_t>(*number)))
        return failAt(value.offset,
                      "metadata key 'general.alignment': expected a power of two up to 2^30, found {}",
                      *number);
      contents.alignment = static_cast<uint64_t>(*number);
    }
    if (auto split = contents.keys.find("split.count"); split != contents.keys.end()) {
      const GgufValue &value = contents.metadata[split->second];
      Result<int64_t> count = value.as<int64_t>();
      if (!count)
        return tl::unexpected(count.error());
      if (*count > 1)
        return failAt(
            value.offset,
            "metadata key 'split.count': expected a model in one file, found one split into {}; join the "
            "parts with llama-gguf-split --merge",
            *count);
    }
    return {};
  }

  Result<> parseTensors() {
    contents.tensors.reserve(tensorCount);
    for (uint64_t i = 0; i < tensorCount; ++i) {
      uint64_t start = at;
      Result<GgufTensor> tensor = parseTensor();
      if (!tensor)
        return tl::unexpected(tensor.error());
      if (!contents.names.emplace(tensor->name, contents.tensors.size()).second)
        return failAt(start, "expected each tensor once, found '{}' again", tensor->name);
      contents.tensors.push_back(std::move(*tensor));
    }
    // Offsets in the table count from the first aligned byte after it.
    uint64_t data = (at + contents.alignment - 1) / contents.alignment * contents.alignment;
    for (GgufTensor &tensor : contents.tensors) {
      uint64_t size = *sizeInBytes(tensor);
      if (data > bytes.size() || tensor.offset > bytes.size() - data ||
          size > bytes.size() - data - tensor.offset)
        return fail(
            "{}: tensor '{}': expected {} bytes at byte {} + {}, found the end of the file at byte {}",
            contents.path, tensor.name, size, data, tensor.offset, bytes.size());
      tensor.offset += data;
      tensor.bytes = bytes.subspan(tensor.offset, size);
    }
    return {};
  }

  /// One entry of the table; its offset still counts from the beginning of the data.
  Result<GgufTensor> parseTensor() {
    uint64_t start = at;
    GgufTensor tensor;
    Result<std::string_view> name = string("a tensor's name", nameLimit);
    if (!name)
      return tl::unexpected(name.error());
    tensor.name = *name;
    Result<uint32_t> rank = number<uint32_t>("a tensor's number of dimensions");
    if (!rank)
      return tl::unexpected(rank.error());
    if (*rank < 1 || *rank > 4)
      return failAt(start, "tensor '{}': expected 1 to 4 dimensions, found {}", *name, *rank);
    for (uint32_t i = 0; i < *rank; ++i) {
      Result<int64_t> length = number<int64_t>("a tensor's length");
      if (!length)
        return tl::unexpected(length.error());
      if (*length < 1)
        return failAt(start, "tensor '{}': expected lengths of at least 1, found {}", *name, *length);
      tensor.shape.insert(tensor.shape.begin(), *length); // the file has the innermost first
    }
    Result<uint32_t> type = number<uint32_t>("a tensor's type");
    Result<uint64_t> offset = type ? number<uint64_t>("a tensor's offset") : tl::unexpected(type.error());
    if (!offset)
      return tl::unexpected(offset.error());
    tensor.offset = *offset;
    tensor.format = findBlockFormat(*type);
    if (!tensor.format)
      return failAt(start, "tensor '{}': expected a known type, found number {}; {}", *name, *type,
                    howToConvert());
    if (*offset % contents.alignment != 0)
      return failAt(start, "tensor '{}': expected an offset that is a multiple of {}, found {}", *name,
                    contents.alignment, *offset);
    if (Result<int64_t> row = tensor.format->bytesOf(tensor.shape.back()); !row)
      return failAt(start, "tensor '{}', length of its rows: {}", *name, row.error().message);
    if (Result<uint64_t> size = sizeInBytes(tensor); !size)
      return failAt(start, "tensor '{}': {}", *name, size.error().message);
    return tensor;
  }

  static Result<uint64_t> sizeInBytes(const GgufTensor &tensor) {
    Result<int64_t> count = elementCount(tensor.shape);
    Result<int64_t> size = count ? tensor.format->bytesOf(*count) : count;
    if (!size)
      return tl::unexpected(size.error());
    return static_cast<uint64_t>(*size);
  }

  Result<> checkOverlaps() {
    std::vector<const GgufTensor *> ordered;
    for (const GgufTensor &tensor : contents.tensors)
      ordered.push_back(&tensor);
    std::ranges::sort(ordered, {}, &GgufTensor::offset);
    for (size_t i = 1; i < ordered.size(); ++i) {
      const GgufTensor &before = *ordered[i - 1], &tensor = *ordered[i];
      if (tensor.offset < before.offset + before.bytes.size())
        return fail(
            "{}: tensor '{}': expected bytes of its own, found that it begins at byte {}, inside '{}', which "
            "ends at byte {}",
            contents.path, tensor.name, tensor.offset, before.name, before.offset + before.bytes.size());
    }
    return {};
  }
};

Result<Gguf> Gguf::open(const std::string &path) { return GgufParser::open(path); }

Result<Gguf> Gguf::parse(std::span<const std::byte> bytes, std::string name) {
  return GgufParser::parse(bytes, std::move(name));
}

} // namespace sinter
