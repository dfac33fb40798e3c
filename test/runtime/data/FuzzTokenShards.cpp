// SPDX-License-Identifier: Apache-2.0
// Any bytes as a token shard.
#include "runtime/data/TokenShards.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  (void)sinter::data::checkShard({reinterpret_cast<const std::byte *>(data), size}, "fuzz", size % 2 == 0);
  return 0;
}
