// SPDX-License-Identifier: Apache-2.0
// Any bytes as a compiled model's metadata: an error, or values that a sampler can use.
#include "runtime/generate/Metadata.h"

#include <cstdlib>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string_view text(reinterpret_cast<const char *>(data), size);
  if (const Result<Metadata> metadata = parseMetadata(text)) {
    const float logits[] = {1, -2, 0.5f, 3};
    const int32_t history[] = {0, 3, 3};
    const Result<int32_t> drawn = Sampler(metadata->sampling, 4).sample(logits, history, 0, 0);
    if (drawn && (*drawn < 0 || *drawn >= 4))
      std::abort();
  }
  return 0;
}
