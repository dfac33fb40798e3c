// SPDX-License-Identifier: Apache-2.0
// Any bytes as an input of data preparation, packed or not: the first byte says whether as text, lines or
// WET. Batches hold what their pieces say.
#include "runtime/data/DocumentReader.h"
#include "runtime/data/JsonLines.h"
#include "test/TemporaryFolder.h"

using namespace sinter::data;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const sinter::TemporaryFolder folder;
  if (size == 0)
    return 0;
  const auto format = static_cast<Format>(data[0] % 3);
  const std::string path = folder.write("input", {reinterpret_cast<const char *>(data) + 1, size - 1});
  ReaderLimits limits{64, 48, 96, data[0] >= 128}; // small, so that all of them are met
  DocumentReader reader({{path, format, data[0] % 2 == 0, size - 1}}, limits);
  for (;;) {
    const auto batch = reader.next();
    if (!batch && batch.error().message.empty())
      std::abort();
    if (!batch || !*batch)
      return 0;
    for (const Piece &piece : (*batch)->pieces) {
      if (piece.begin > piece.end || piece.end > (*batch)->bytes.size())
        std::abort();
      if (format == Format::Lines)
        (void)readJsonLine((*batch)->text(piece), "text", "fuzz");
    }
  }
}
