// SPDX-License-Identifier: Apache-2.0
// Any bytes as the weights of a model that keeps them in a file of their own: an error, or a file whose
// weights are all there.
#include "runtime/device/Device.h"
#include "runtime/device/WeightHashes.h"
#include "test/TemporaryFolder.h"
#include <array>
#include <numeric>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const TemporaryFolder folder;
  sinter_model model = {};
  model.abi_version = SINTER_ABI_VERSION;
  model.isa_mask = 1 << SINTER_ISA_AVX2;
  model.name = "fuzz";
  std::array<char, 64> weights;
  std::iota(weights.begin(), weights.end(), '\0');
  const std::vector<uint64_t> table = device::hashTable(std::as_bytes(std::span(weights)));
  model.weights.size = weights.size();
  model.weights_hash = device::hashOf(std::as_bytes(std::span(table)));
  // Most of the file is the space between header and weights: the input's first bytes are the one, its last
  // the other.
  std::string file(reinterpret_cast<const char *>(data), size);
  if (size > sizeof(sinter_weights_header))
    file.insert(sizeof(sinter_weights_header), SINTER_WEIGHTS_OFFSET - sizeof(sinter_weights_header), '\0');
  const Result<std::unique_ptr<device::Device>> opened =
      device::openCpu(model, {1, folder.write("weights", file)});
  if (!opened)
    return opened.error().message.empty() ? (std::abort(), 0) : 0;
  if (file.size() < SINTER_WEIGHTS_OFFSET + weights.size() + sizeof(uint64_t) ||
      file.compare(SINTER_WEIGHTS_OFFSET, weights.size(), weights.data(), weights.size()) != 0)
    std::abort();
  return 0;
}
