// SPDX-License-Identifier: Apache-2.0
// Writes a safetensors file: the header from the declarations, then the bytes as they come.
#include "runtime/files/JsonWriter.h"
#include "runtime/files/SafeTensors.h"

#include <cassert>

namespace sinter {

void SafeTensorsWriter::addMetadata(std::string key, std::string value) {
  metadata.emplace_back(std::move(key), std::move(value));
}

void SafeTensorsWriter::declare(std::string name, const BlockFormat &format, std::vector<int64_t> shape) {
  assert(format.isFloat() && format.dequantize && "safetensors holds plain floats");
  declared.push_back({std::move(name), &format, std::move(shape)});
}

Result<> SafeTensorsWriter::begin() {
  JsonWriter json;
  json.beginObject();
  if (!metadata.empty()) {
    json.key("__metadata__").beginObject();
    for (const auto &[key, value] : metadata)
      json.key(key).value(value);
    json.endObject();
  }
  int64_t offset = 0;
  for (const Declared &tensor : declared) {
    Result<int64_t> count = elementCount(tensor.shape);
    Result<int64_t> size = count ? tensor.format->bytesOf(*count) : count;
    int64_t end;
    if (!size || __builtin_add_overflow(offset, *size, &end))
      return fail("{}: tensor '{}': {}", path, tensor.name,
                  size ? "expected a file of at most 2^63 bytes" : size.error().message);
    json.key(tensor.name).beginObject().key("dtype").value(tensor.format->name);
    json.key("shape").beginArray();
    for (int64_t length : tensor.shape)
      json.value(length);
    json.endArray().key("data_offsets").beginArray().value(offset).value(end).endArray().endObject();
    offset = end;
  }
  std::string header = json.endObject().take();
  header.append((8 - header.size() % 8) % 8, ' '); // so that the data is aligned

  Result<AtomicFile> created = AtomicFile::create(path);
  if (!created)
    return tl::unexpected(created.error());
  file = std::move(*created);
  uint64_t length = header.size();
  expectedSize = sizeof length + length + static_cast<uint64_t>(offset);
  if (Result<> written = file->write(std::as_bytes(std::span(&length, 1))); !written)
    return written;
  return file->write(header);
}

Result<> SafeTensorsWriter::append(std::span<const std::byte> bytes) {
  assert(file && "begin() comes before append()");
  assert(bytes.size() <= expectedSize - file->size() && "no more bytes than declared");
  return file->write(bytes);
}

Result<> SafeTensorsWriter::commit(bool sync) {
  assert(file && file->size() == expectedSize && "as many bytes as declared");
  return file->commit(sync);
}

} // namespace sinter
