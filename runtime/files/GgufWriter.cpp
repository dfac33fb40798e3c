// SPDX-License-Identifier: Apache-2.0
// Serialises metadata and tensors in GGUF's layout.
#include "runtime/files/GgufWriter.h"
#include "runtime/files/AtomicFile.h"

#include <type_traits>

namespace sinter {
namespace {

template <typename T> void put(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof value);
}

void putString(std::string &out, std::string_view text) {
  put<uint64_t>(out, text.size());
  out += text;
}

template <typename T> constexpr GgufType typeOf() {
  if constexpr (std::is_same_v<T, bool>)
    return GgufType::Bool;
  else if constexpr (std::is_same_v<T, float>)
    return GgufType::F32;
  else if constexpr (std::is_same_v<T, double>)
    return GgufType::F64;
  else if constexpr (sizeof(T) == 1)
    return std::is_signed_v<T> ? GgufType::I8 : GgufType::U8;
  else if constexpr (sizeof(T) == 2)
    return std::is_signed_v<T> ? GgufType::I16 : GgufType::U16;
  else if constexpr (sizeof(T) == 4)
    return std::is_signed_v<T> ? GgufType::I32 : GgufType::U32;
  else
    return std::is_signed_v<T> ? GgufType::I64 : GgufType::U64;
}

uint64_t alignUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

} // namespace

template <typename T> GgufWriter &GgufWriter::add(std::string_view key, T value) {
  putString(metadata, key);
  put(metadata, static_cast<uint32_t>(typeOf<T>()));
  put(metadata, value);
  ++metadataCount;
  if constexpr (std::is_integral_v<T>)
    if (key == "general.alignment" && value > 0)
      alignment = static_cast<uint64_t>(value);
  return *this;
}

GgufWriter &GgufWriter::add(std::string_view key, std::string_view value) {
  putString(metadata, key);
  put(metadata, static_cast<uint32_t>(GgufType::String));
  putString(metadata, value);
  ++metadataCount;
  return *this;
}

template <typename T> GgufWriter &GgufWriter::addArray(std::string_view key, const std::vector<T> &values) {
  putString(metadata, key);
  put(metadata, static_cast<uint32_t>(GgufType::Array));
  put(metadata, static_cast<uint32_t>(typeOf<T>()));
  put<uint64_t>(metadata, values.size());
  for (T value : values)
    put(metadata, value);
  ++metadataCount;
  return *this;
}

GgufWriter &GgufWriter::addArray(std::string_view key, const std::vector<std::string> &values) {
  putString(metadata, key);
  put(metadata, static_cast<uint32_t>(GgufType::Array));
  put(metadata, static_cast<uint32_t>(GgufType::String));
  put<uint64_t>(metadata, values.size());
  for (const std::string &value : values)
    putString(metadata, value);
  ++metadataCount;
  return *this;
}

template GgufWriter &GgufWriter::add(std::string_view, bool);
template GgufWriter &GgufWriter::add(std::string_view, int8_t);
template GgufWriter &GgufWriter::add(std::string_view, uint8_t);
template GgufWriter &GgufWriter::add(std::string_view, int16_t);
template GgufWriter &GgufWriter::add(std::string_view, uint16_t);
template GgufWriter &GgufWriter::add(std::string_view, int32_t);
template GgufWriter &GgufWriter::add(std::string_view, uint32_t);
template GgufWriter &GgufWriter::add(std::string_view, int64_t);
template GgufWriter &GgufWriter::add(std::string_view, uint64_t);
template GgufWriter &GgufWriter::add(std::string_view, float);
template GgufWriter &GgufWriter::add(std::string_view, double);
template GgufWriter &GgufWriter::addArray(std::string_view, const std::vector<bool> &);
template GgufWriter &GgufWriter::addArray(std::string_view, const std::vector<int32_t> &);
template GgufWriter &GgufWriter::addArray(std::string_view, const std::vector<uint32_t> &);
template GgufWriter &GgufWriter::addArray(std::string_view, const std::vector<int64_t> &);
template GgufWriter &GgufWriter::addArray(std::string_view, const std::vector<uint64_t> &);
template GgufWriter &GgufWriter::addArray(std::string_view, const std::vector<float> &);
template GgufWriter &GgufWriter::addArray(std::string_view, const std::vector<double> &);

GgufWriter &GgufWriter::addTensor(std::string_view name, const BlockFormat &format,
                                  std::vector<int64_t> shape, std::span<const std::byte> bytes) {
  tensors.push_back({std::string(name), &format, std::move(shape),
                     std::string(reinterpret_cast<const char *>(bytes.data()), bytes.size())});
  return *this;
}

std::string GgufWriter::bytes() const {
  std::string out = "GGUF";
  put<uint32_t>(out, 3);
  put<uint64_t>(out, tensors.size());
  put<uint64_t>(out, metadataCount);
  out += metadata;
  uint64_t offset = 0;
  for (const Tensor &tensor : tensors) {
    putString(out, tensor.name);
    put(out, static_cast<uint32_t>(tensor.shape.size()));
    for (auto length = tensor.shape.rbegin(); length != tensor.shape.rend(); ++length)
      put(out, *length);
    put(out, tensor.format->ggmlType);
    put(out, offset);
    offset = alignUp(offset + tensor.bytes.size(), alignment);
  }
  for (const Tensor &tensor : tensors) {
    out.resize(alignUp(out.size(), alignment));
    out += tensor.bytes;
  }
  out.resize(alignUp(out.size(), alignment));
  return out;
}

Result<> GgufWriter::write(const std::string &path) const {
  Result<AtomicFile> file = AtomicFile::create(path);
  if (!file)
    return tl::unexpected(file.error());
  if (Result<> written = file->write(bytes()); !written)
    return written;
  return file->commit();
}

} // namespace sinter
