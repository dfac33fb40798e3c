// SPDX-License-Identifier: Apache-2.0
// Any bytes as UTF-8: the quick ways agree with the step by step one on what is well-formed, and what is
// repaired is.
#include "runtime/files/Utf8.h"
#include <cstdint>
#include <cstdlib>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char *>(data), size);
  const std::string repaired = repairUtf8(bytes);
  if (repairUtf8(repaired) != repaired || validUtf8Prefix(repaired) != repaired.size())
    std::abort();
  size_t at = 0;
  for (; at < size; at += utf8Length(bytes.substr(at)))
    if (const Utf8Step step = stepUtf8(bytes.substr(at));
        utf8Length(bytes.substr(at)) != (step.valid ? step.size : 0))
      std::abort();
    else if (!step.valid)
      break;
  if (at != validUtf8Prefix(bytes))
    std::abort();
  return 0;
}
