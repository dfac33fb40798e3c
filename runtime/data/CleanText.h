// SPDX-License-Identifier: Apache-2.0
// Makes text regular without changing what it says: valid UTF-8, NFC, one kind of line ending, no control or
// invisible characters, no white space at the ends of lines.
#ifndef SINTER_RUNTIME_DATA_CLEANTEXT_H
#define SINTER_RUNTIME_DATA_CLEANTEXT_H

#include <cstdint>
#include <string>
#include <string_view>

namespace sinter::data {

/// How often each repair was made.
struct CleanCounts {
  uint64_t repaired = 0;    // ill-formed parts of UTF-8, now U+FFFD
  uint64_t controls = 0;    // control characters removed
  uint64_t invisible = 0;   // zero-width and direction characters, soft hyphens removed
  uint64_t lineEndings = 0; // CR LF, CR, NEL, VT, FF, U+2028, U+2029, now LF
  uint64_t composed = 0;    // documents that were not in NFC

  void add(const CleanCounts &other);
};

class TextCleaner {
public:
  /// The clean text; valid until the next call. Joiners (U+200C, U+200D) stay behind characters beyond ASCII,
  /// where scripts and emoji need them; a no-break space becomes a space; of several empty lines one stays.
  std::string_view clean(std::string_view text, CleanCounts &counts);

private:
  std::string repaired, stripped, composed, lines;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_CLEANTEXT_H
