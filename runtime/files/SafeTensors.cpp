// SPDX-License-Identifier: Apache-2.0
// Opens safetensors files and folders of shards; every offset and shape is checked before it is used. The
// format: https://github.com/huggingface/safetensors, section "Format".
#include "runtime/files/SafeTensors.h"
#include "runtime/files/Json.h"
#include "runtime/files/MappedFile.h"
#include "runtime/files/Presence.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>

namespace sinter {

struct SafeTensors::Contents {
  std::vector<std::unique_ptr<const std::string>> paths; // one a file; their addresses stay
  std::vector<MappedFile> mappings;
  std::vector<SafeTensor> tensors; // sorted by name
  std::vector<std::pair<std::string, std::string>> metadata;
};

namespace {

constexpr uint64_t headerLimit = 100'000'000; // the reference implementation's

/// Bits of an element of `dtype`; 0 if there is no such type.
unsigned bitsOf(std::string_view dtype) {
  struct Entry {
    std::string_view name;
    unsigned bits;
  };
  constexpr Entry entries[] = {
      {"F32", 32},    {"F16", 16},    {"BF16", 16},       {"F64", 64},        {"BOOL", 8},    {"U8", 8},
      {"I8", 8},      {"U16", 16},    {"I16", 16},        {"U32", 32},        {"I32", 32},    {"U64", 64},
      {"I64", 64},    {"C64", 64},    {"F8_E4M3", 8},     {"F8_E5M2", 8},     {"F8_E8M0", 8}, {"F4", 4},
      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
  };
  for (const Entry &entry : entries)
    if (entry.name == dtype)
      return entry.bits;
  return 0;
}

const BlockFormat *formatOf(std::string_view dtype) {
  for (const BlockFormat *format : {&f32Format, &f16Format, &bf16Format})
    if (format->name == dtype)
      return format;
  return nullptr;
}

size_t countOf(JsonValue object, std::string_view key) {
  size_t count = 0;
  for (JsonValue member : object)
    count += member.key() == key;
  return count;
}

/// The entry of one tensor in the header; its bytes are a part of `data`, which begins at `dataOffset`.
Result<SafeTensor> readEntry(JsonValue entry, std::span<const std::byte> data, uint64_t dataOffset) {
  SafeTensor tensor;
  tensor.name = entry.key();
  for (std::string_view key : {"dtype", "shape", "data_offsets"})
    if (countOf(entry, key) > 1)
      return fail("{}: expected each key once, found it again", entry[key].where());
  Result<std::string> dtype = entry.get<std::string>("dtype");
  if (!dtype)
    return tl::unexpected(dtype.error());
  unsigned bits = bitsOf(*dtype);
  if (bits == 0)
    return fail("{}: expected a type of safetensors such as \"F32\" or \"BF16\", found {}",
                entry["dtype"].where(), entry["dtype"].describe());
  tensor.dtype = std::move(*dtype);
  tensor.format = formatOf(tensor.dtype);

  Result<std::vector<int64_t>> shape = entry.get<std::vector<int64_t>>("shape");
  if (!shape)
    return tl::unexpected(shape.error());
  Result<int64_t> count = elementCount(*shape);
  if (!count)
    return fail("{}: {}", entry["shape"].where(), count.error().message);
  tensor.shape = std::move(*shape);

  Result<std::vector<int64_t>> offsets = entry.get<std::vector<int64_t>>("data_offsets");
  if (!offsets)
    return tl::unexpected(offsets.error());
  JsonValue offsetsEntry = entry["data_offsets"];
  if (offsets->size() != 2 || (*offsets)[0] < 0 || (*offsets)[1] < (*offsets)[0])
    return fail("{}: expected begin and end with 0 <= begin <= end, found {}", offsetsEntry.where(),
                shapeText(*offsets));
  uint64_t begin = static_cast<uint64_t>((*offsets)[0]), end = static_cast<uint64_t>((*offsets)[1]);
  if (end > data.size())
    return fail("{}: expected an end within the file's {} bytes of data, found {}", offsetsEntry.where(),
                data.size(), end);
  int64_t bitCount;
  if (__builtin_mul_overflow(*count, static_cast<int64_t>(bits), &bitCount) || bitCount % 8 != 0 ||
      static_cast<uint64_t>(bitCount / 8) != end - begin)
    return fail("{}: expected as many bytes as {} of shape {} has, found {}", offsetsEntry.where(),
                tensor.dtype, shapeText(tensor.shape), end - begin);
  tensor.bytes = data.subspan(begin, end - begin);
  tensor.offset = dataOffset + begin;
  return tensor;
}

/// The format forbids holes and overlaps: ordered by offset, each tensor begins where the one before ends.
Result<> checkContiguous(std::span<const SafeTensor> tensors, uint64_t dataOffset, uint64_t fileSize,
                         const std::string &name) {
  std::vector<const SafeTensor *> ordered;
  for (const SafeTensor &tensor : tensors)
    ordered.push_back(&tensor);
  std::ranges::sort(ordered, {}, [](const SafeTensor *t) { return std::pair(t->offset, t->bytes.size()); });
  uint64_t expected = dataOffset;
  for (const SafeTensor *tensor : ordered) {
    if (tensor->offset != expected)
      return fail(
          "{}: tensor '{}': expected its bytes to begin at byte {}, where the one before ends, found byte "
          "{}: {}",
          name, tensor->name, expected, tensor->offset,
          tensor->offset < expected ? "they overlap" : "a hole");
    expected += tensor->bytes.size();
  }
  if (expected != fileSize)
    return fail("{}: expected the last tensor to end with the file at byte {}, found byte {}", name, fileSize,
                expected);
  return {};
}

/// One file's header, its tensors appended to `tensors`.
Result<> parseFile(std::span<const std::byte> bytes, const std::string &name,
                   std::vector<SafeTensor> &tensors,
                   std::vector<std::pair<std::string, std::string>> &metadata) {
  uint64_t length = 0;
  if (bytes.size() < sizeof length)
    return fail("{}: expected a safetensors file, which has at least 8 bytes, found {}", name, bytes.size());
  std::memcpy(&length, bytes.data(), sizeof length);
  if (length > headerLimit || length > bytes.size() - sizeof length)
    return fail("{} (byte 0): expected a header of at most {} bytes, found a length of {}", name,
                std::min<uint64_t>(headerLimit, bytes.size() - sizeof length), length);

  std::string_view text(reinterpret_cast<const char *>(bytes.data()) + sizeof length, length);
  Result<Json> header = Json::parse(std::string(text), name + " (header)");
  if (!header)
    return tl::unexpected(header.error());
  JsonValue root = header->root();
  if (!root.isObject())
    return fail("{}: expected an object, found {}", root.where(), root.describe());

  uint64_t dataOffset = sizeof length + length;
  std::span<const std::byte> data = bytes.subspan(dataOffset);
  size_t first = tensors.size();
  bool hasMetadata = false;
  for (JsonValue entry : root) {
    if (entry.key() == "__metadata__") {
      if (std::exchange(hasMetadata, true))
        return fail("{}: expected each key once, found it again", entry.where());
      if (!entry.isObject())
        return fail("{}: expected an object of strings, found {}", entry.where(), entry.describe());
      for (JsonValue item : entry) {
        Result<std::string> value = item.as<std::string>();
        if (!value)
          return tl::unexpected(value.error());
        metadata.emplace_back(item.key(), std::move(*value));
      }
      continue;
    }
    Result<SafeTensor> tensor = readEntry(entry, data, dataOffset);
    if (!tensor)
      return tl::unexpected(tensor.error());
    tensor->file = name;
    tensors.push_back(std::move(*tensor));
  }
  return checkContiguous(std::span(tensors).subspan(first), dataOffset, bytes.size(), name);
}

Result<> sortByName(std::vector<SafeTensor> &tensors) {
  std::ranges::sort(tensors, {}, &SafeTensor::name);
  auto twice = std::ranges::adjacent_find(tensors, {}, &SafeTensor::name);
  if (twice != tensors.end())
    return fail("{}: expected each tensor once, found '{}' again in {}", twice->file, twice->name,
                std::next(twice)->file);
  return {};
}

} // namespace

std::span<const SafeTensor> SafeTensors::tensors() const { return contents->tensors; }
std::span<const std::pair<std::string, std::string>> SafeTensors::metadata() const {
  return contents->metadata;
}

const SafeTensor *SafeTensors::find(std::string_view name) const {
  auto at = std::ranges::lower_bound(contents->tensors, name, {}, &SafeTensor::name);
  return at != contents->tensors.end() && at->name == name ? &*at : nullptr;
}

Result<SafeTensors> SafeTensors::parse(std::span<const std::byte> bytes, std::string name) {
  auto contents = std::make_shared<Contents>();
  contents->paths.push_back(std::make_unique<const std::string>(std::move(name)));
  if (auto parsed = parseFile(bytes, *contents->paths[0], contents->tensors, contents->metadata); !parsed)
    return tl::unexpected(parsed.error());
  if (Result<> sorted = sortByName(contents->tensors); !sorted)
    return tl::unexpected(sorted.error());
  return SafeTensors(std::move(contents));
}

Result<SafeTensors> SafeTensors::open(const std::string &path) {
  Result<MappedFile> mapping = MappedFile::open(path);
  if (!mapping)
    return tl::unexpected(mapping.error());
  Result<SafeTensors> file = parse(mapping->bytes(), path);
  if (file)
    std::const_pointer_cast<Contents>(file->contents)->mappings.push_back(std::move(*mapping));
  return file;
}

Result<SafeTensors> SafeTensors::openFolder(const std::string &folder) {
  std::string single = folder + "/model.safetensors", indexPath = folder + "/model.safetensors.index.json";
  if (isThere(single))
    return open(single);
  if (!isThere(indexPath))
    return fail(
        "{}: expected model.safetensors or model.safetensors.index.json in the folder, found {}", folder,
        isThere(folder + "/pytorch_model.bin") || isThere(folder + "/pytorch_model.bin.index.json")
            ? "pickled weights only; load the folder with transformers and call save_pretrained to convert"
            : "neither");
  Result<Json> index = Json::read(indexPath);
  if (!index)
    return tl::unexpected(index.error());
  JsonValue map = index->root()["weight_map"];
  if (!map.isObject())
    return fail("{}: expected an object from tensors to files, found {}", map.where(), map.describe());

  std::set<std::string, std::less<>> shards;
  for (JsonValue entry : map) {
    Result<std::string> shard = entry.as<std::string>();
    if (!shard)
      return tl::unexpected(shard.error());
    // A name that leaves the folder could read any file of the user's.
    if (shard->empty() || shard->front() == '.' || shard->find('/') != std::string::npos ||
        shard->find('\0') != std::string::npos)
      return fail("{}: expected the name of a file in the same folder, found {}", entry.where(),
                  entry.describe());
    shards.insert(std::move(*shard));
  }
  auto contents = std::make_shared<Contents>();
  for (const std::string &shard : shards) {
    Result<MappedFile> mapping = MappedFile::open(folder + "/" + shard);
    if (!mapping)
      return fail("{} (a shard that {} lists)", mapping.error().message, indexPath);
    contents->paths.push_back(std::make_unique<const std::string>(mapping->path()));
    if (auto parsed =
            parseFile(mapping->bytes(), *contents->paths.back(), contents->tensors, contents->metadata);
        !parsed)
      return tl::unexpected(parsed.error());
    contents->mappings.push_back(std::move(*mapping));
  }
  if (Result<> sorted = sortByName(contents->tensors); !sorted)
    return tl::unexpected(sorted.error());

  SafeTensors all(std::move(contents));
  for (JsonValue entry : map) {
    // One that is nowhere is a remnant that transformers ignores, too: whoever needs it says that it is
    // missing.
    const SafeTensor *tensor = all.find(entry.key());
    std::string path = folder + "/" + *entry.as<std::string>();
    if (tensor && tensor->file != path)
      return fail("{}: expected tensor '{}' in {}, found it in {}", entry.where(), entry.key(), path,
                  tensor->file);
  }
  return all;
}

} // namespace sinter
