// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: what is accepted must lie inside the bytes.
#include "runtime/files/SafeTensors.h"

#include <cstdlib>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::span<const std::byte> bytes(reinterpret_cast<const std::byte *>(data), size);
  Result<SafeTensors> tensors = SafeTensors::parse(bytes, "fuzz");
  if (!tensors)
    return 0;
  for (const SafeTensor &tensor : tensors->tensors()) {
    if (tensor.offset > size || tensor.bytes.size() > size - tensor.offset || !elementCount(tensor.shape) ||
        tensors->find(tensor.name) != &tensor)
      std::abort();
    std::vector<std::byte> copy(tensor.bytes.begin(), tensor.bytes.end());
  }
  return 0;
}
