// SPDX-License-Identifier: Apache-2.0
// Any bytes as a GGUF file: all that is accepted can be read, and every tensor decodes.
#include "runtime/files/Gguf.h"

#include <cstdlib>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::span<const std::byte> bytes(reinterpret_cast<const std::byte *>(data), size);
  Result<Gguf> gguf = Gguf::parse(bytes, "fuzz");
  if (!gguf)
    return 0;
  for (const GgufValue &value : gguf->metadata()) {
    (void)value.as<bool>();
    (void)value.as<int64_t>();
    (void)value.as<double>();
    (void)value.as<std::string>();
    (void)value.as<std::vector<int32_t>>();
    (void)value.as<std::vector<double>>();
    (void)value.as<std::vector<bool>>();
    (void)value.as<std::vector<std::string>>();
    if (gguf->find(value.key) != &value)
      std::abort();
  }
  for (const GgufTensor &tensor : gguf->tensors()) {
    if (tensor.offset > size || tensor.bytes.size() > size - tensor.offset ||
        gguf->tensor(tensor.name) != &tensor)
      std::abort();
    if (!tensor.format->dequantize)
      continue;
    std::vector<float> numbers(static_cast<size_t>(*elementCount(tensor.shape)));
    tensor.format->dequantize(tensor.bytes, numbers.data());
  }
  return 0;
}
