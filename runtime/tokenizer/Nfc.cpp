// SPDX-License-Identifier: Apache-2.0
// NFC through utf8proc, called only for the parts of a text that can change.
#include "runtime/tokenizer/Nfc.h"
#include "runtime/tokenizer/Unicode.h"
#include <cstdlib>
#include <cstring>
#include <utf8proc.h>

namespace sinter {

using namespace unicode;

namespace {

void appendComposed(std::string &out, std::string_view text) {
  utf8proc_uint8_t *result = nullptr;
  utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t *>(text.data()),
                                       static_cast<utf8proc_ssize_t>(text.size()), &result,
                                       static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
  if (size >= 0)
    out.append(reinterpret_cast<const char *>(result), static_cast<size_t>(size));
  else
    out.append(text); // only for lack of memory: the text is valid UTF-8
  std::free(result);
}

} // namespace

// Only a character that may change, with the one before it and all such that follow, goes to utf8proc.
bool composeCanonical(std::string_view text, std::string &out) {
  size_t done = 0;
  bool changed = false;
  for (size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      for (uint64_t a, b; i + 16 <= text.size(); i += 16) {
        std::memcpy(&a, text.data() + i, 8);
        std::memcpy(&b, text.data() + i + 8, 8);
        if ((a | b) & 0x8080808080808080u)
          break;
      }
      continue;
    }
    Char c = decode(text.data() + i);
    if (!changesUnderNfc(c.code)) {
      i += c.size;
      continue;
    }
    size_t begin = i > done ? charBefore(text, i) : i;
    while (i < text.size()) {
      c = decode(text.data() + i);
      if (!changesUnderNfc(c.code))
        break;
      i += c.size;
    }
    out.append(text.substr(done, begin - done));
    appendComposed(out, text.substr(begin, i - begin));
    done = i;
    changed = true;
  }
  if (changed)
    out.append(text.substr(done));
  return changed;
}

} // namespace sinter
