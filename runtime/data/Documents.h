// SPDX-License-Identifier: Apache-2.0
// The documents of a batch, whatever format they came in.
#ifndef SINTER_RUNTIME_DATA_DOCUMENTS_H
#define SINTER_RUNTIME_DATA_DOCUMENTS_H

#include "runtime/data/DocumentReader.h"
#include "runtime/data/JsonLines.h"

#include <algorithm>

namespace sinter::data {

struct Document {
  uint32_t input;
  uint64_t number;     // in its input, from 0; for .jsonl the line
  std::string_view id; // the file's own, or empty
  std::string_view text;
};

/// Calls use(Document) for each in order, and bad(std::string message) for each line of .jsonl without a
/// text.
template <typename Use, typename Bad>
void forEachDocument(const Batch &batch, const std::vector<Input> &inputs, std::string_view field, Use use,
                     Bad bad) {
  for (const Piece &piece : batch.pieces) {
    std::string_view text = batch.text(piece);
    if (piece.format != Format::Lines) {
      use(Document{piece.input, piece.number, piece.name, text});
      continue;
    }
    for (uint64_t number = piece.number; !text.empty(); ++number) {
      std::string_view line = text.substr(0, text.find('\n'));
      text.remove_prefix(std::min(text.size(), line.size() + 1));
      if (line.find_first_not_of(" \t\r") == line.npos)
        continue;
      Result<JsonLine> read =
          readJsonLine(line, field, fmt::format("{}: line {}", inputs[piece.input].path, number + 1));
      if (read)
        use(Document{piece.input, number, read->id, read->text});
      else
        bad(read.error().message);
    }
  }
}

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_DOCUMENTS_H
