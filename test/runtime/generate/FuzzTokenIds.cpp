// SPDX-License-Identifier: Apache-2.0
// Any bytes as what --detokenize reads and --prompt-tokens takes: ids that are accepted are in range.
#include "runtime/generate/TokenIds.h"

#include <cstdlib>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string text(reinterpret_cast<const char *>(data), size);
  if (const Result<std::vector<int32_t>> ids = parseIdArray(text, 300))
    for (int32_t id : *ids)
      if (id < 0 || id >= 300)
        std::abort();
  if (const Result<std::vector<int32_t>> ids = parseIdList(text))
    for (int32_t id : *ids)
      if (id < 0)
        std::abort();
  return 0;
}
