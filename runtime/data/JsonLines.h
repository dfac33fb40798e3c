// SPDX-License-Identifier: Apache-2.0
// Reads the text of one line of a .jsonl file.
#ifndef SINTER_RUNTIME_DATA_JSONLINES_H
#define SINTER_RUNTIME_DATA_JSONLINES_H

#include "runtime/Result.h"

#include <string>
#include <string_view>

namespace sinter::data {

struct JsonLine {
  std::string id;   // the member "id" if it is a string or an integer; else empty
  std::string text; // may be ill-formed UTF-8 only where the line is
};

/// The member `field` (a string; "a.b" looks into objects), or for `messages` without such a string a chat:
/// the contents of its turns, each behind its role and a colon, with an empty line between them. `where`
/// opens messages ("corpus.jsonl: line 12"). Any bytes may be given.
Result<JsonLine> readJsonLine(std::string_view line, std::string_view field, const std::string &where);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_JSONLINES_H
