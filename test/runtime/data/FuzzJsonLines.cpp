// SPDX-License-Identifier: Apache-2.0
// Any bytes as an input of data preparation: packed or not, a line or many.
#include "runtime/data/ByteSource.h"
#include "runtime/data/CleanText.h"
#include "runtime/data/JsonLines.h"
#include "runtime/data/PersonalData.h"
#include "runtime/data/TextSource.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace sinter::data;
  std::string_view bytes(reinterpret_cast<const char *>(data), size);
  (void)readJsonLine(bytes, "a.text", "fuzz");
  auto unpacked = openBytes(bytes, "fuzz");
  if (!unpacked)
    return 0;
  auto source = openText(std::move(*unpacked), "fuzz");
  if (!source)
    return 0;
  std::string text(64 << 10, '\0');
  auto got = source->bytes->read(text);
  if (!got)
    return 0;
  text.resize(*got);
  TextCleaner cleaner;
  CleanCounts counts;
  std::string masked;
  PersonalCounts found;
  maskPersonalData(cleaner.clean(text, counts), 15, masked, found);
  return 0;
}
