// SPDX-License-Identifier: Apache-2.0
// Any bytes as a .npy file: an error, or an array as large as its shape says that is the same when it is
// written and read again.
#include "runtime/files/Npy.h"

#include <cstdlib>

using namespace sinter;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const Result<NpyArray> array = parseNpy({reinterpret_cast<const char *>(data), size}, "fuzz");
  if (!array)
    return array.error().message.empty() ? (std::abort(), 0) : 0;
  if (array->data.size() != array->count() * array->elementBytes())
    std::abort();
  const Result<NpyArray> again = parseNpy(formatNpy(*array), "again");
  if (!again || again->type != array->type || again->shape != array->shape || again->data != array->data)
    std::abort();
  return 0;
}
