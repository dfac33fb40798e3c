// SPDX-License-Identifier: Apache-2.0
// Validation and repair of UTF-8 as Python's errors='replace' does it: U+FFFD for each maximal part of an
// ill-formed sequence (Unicode, section 3.9, "substitution of maximal subparts").
#ifndef SINTER_RUNTIME_TOKENIZER_UTF8_H
#define SINTER_RUNTIME_TOKENIZER_UTF8_H

#include <cstddef>
#include <string>
#include <string_view>

namespace sinter {

/// What stands at the start of `text`.
struct Utf8Step {
  size_t size;     // bytes: the character, or the ill-formed part to replace
  bool valid;      // a whole well-formed character
  bool incomplete; // not valid, but more bytes after the end of `text` could complete it
};
Utf8Step stepUtf8(std::string_view text);

/// Bytes of the longest valid prefix.
size_t validUtf8Prefix(std::string_view text);

/// Appends `text` with every ill-formed part as U+FFFD; returns how many there were.
size_t appendRepairedUtf8(std::string &out, std::string_view text);

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_UTF8_H
