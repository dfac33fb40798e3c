// SPDX-License-Identifier: Apache-2.0
// Table 3-7 of the Unicode standard (well-formed UTF-8 byte sequences), with a fast path for ASCII.
#include "runtime/tokenizer/Utf8.h"
#include <cstdint>
#include <cstring>

namespace sinter {

Utf8Step stepUtf8(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char lead = byte(0);
  if (lead < 0x80)
    return {1, true, false};
  size_t need = 0;
  unsigned char low = 0x80, high = 0xBF; // range of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    need = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    need = 3;
    low = lead == 0xE0 ? 0xA0 : 0x80;
    high = lead == 0xED ? 0x9F : 0xBF;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    need = 4;
    low = lead == 0xF0 ? 0x90 : 0x80;
    high = lead == 0xF4 ? 0x8F : 0xBF;
  } else {
    return {1, false, false};
  }
  for (size_t i = 1; i < need; ++i) {
    if (i == text.size())
      return {i, false, true};
    if (byte(i) < low || byte(i) > high)
      return {i, false, false};
    low = 0x80;
    high = 0xBF;
  }
  return {need, true, false};
}

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

} // namespace sinter
