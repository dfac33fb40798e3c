// SPDX-License-Identifier: Apache-2.0
// The tree behind Json: nodes in the order of the text, strings as ranges of the text itself. Private to
// Json.cpp and JsonParser.cpp.
#ifndef SINTER_RUNTIME_FILES_JSONDOCUMENT_H
#define SINTER_RUNTIME_FILES_JSONDOCUMENT_H

#include "runtime/files/Json.h"

namespace sinter {

/// A range of JsonDocument::text.
struct JsonRange {
  uint32_t begin;
  uint32_t length;
};

/// A container's first child is the node right after it; `next` leads to its siblings, 0 ends the list.
struct JsonNode {
  uint32_t offset; // of the value in the text
  uint32_t parent;
  uint32_t next = 0;
  uint32_t count = 0; // children
  JsonRange key;
  union {
    bool boolean;
    int64_t integer;
    double real;
    JsonRange string;
  };
  JsonValue::Kind kind;
};

struct JsonDocument {
  std::string name;
  std::string text; // escapes are resolved in place: a string only gets shorter
  std::vector<JsonNode> nodes;

  std::string_view at(JsonRange range) const {
    return std::string_view(text).substr(range.begin, range.length);
  }
};

/// Fills `document.nodes` from `document.text`.
Result<> parseJson(JsonDocument &document);

} // namespace sinter

#endif // SINTER_RUNTIME_FILES_JSONDOCUMENT_H
