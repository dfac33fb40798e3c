// SPDX-License-Identifier: Apache-2.0
// Validation and repair, with a fast path for ASCII.
#include "runtime/files/Utf8.h"

namespace sinter {

size_t validUtf8Prefix(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    while (i + 16 <= text.size()) {
      uint64_t a, b;
      std::memcpy(&a, text.data() + i, 8);
      std::memcpy(&b, text.data() + i + 8, 8);
      if ((a | b) & 0x8080808080808080u)
        break;
      i += 16;
    }
    // Most characters of two and three bytes are told by one look; what is not goes the long way.
    while (i + 4 <= text.size()) {
      uint32_t word;
      std::memcpy(&word, text.data() + i, 4);
      auto lead = static_cast<unsigned char>(word);
      if (lead > 0xE0 && lead != 0xED && (word & 0xC0C0F0) == 0x8080E0)
        i += 3;
      else if (lead >= 0xC2 && (word & 0xC0E0) == 0x80C0)
        i += 2;
      else if (lead < 0x80 && (word & 0x8080) != 0)
        i += 1;
      else
        break;
    }
    if (i == text.size())
      break;
    Utf8Step step = stepUtf8(text.substr(i, 4));
    if (!step.valid)
      return i;
    i += step.size;
  }
  return i;
}

size_t appendRepairedUtf8(std::string &out, std::string_view text) {
  for (size_t parts = 0;; ++parts) {
    size_t good = validUtf8Prefix(text);
    out.append(text.substr(0, good));
    text.remove_prefix(good);
    if (text.empty())
      return parts;
    out += "\xEF\xBF\xBD";
    text.remove_prefix(stepUtf8(text).size);
  }
}

std::string repairUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  appendRepairedUtf8(out, text);
  return out;
}

} // namespace sinter
