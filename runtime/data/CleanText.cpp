// SPDX-License-Identifier: Apache-2.0
// Four passes, each of which leaves a text alone that needs nothing.
#include "runtime/data/CleanText.h"
#include "runtime/tokenizer/Nfc.h"
#include "runtime/files/Utf8.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace sinter::data {
namespace {

/// Bytes that begin something to look at: controls but LF and tab, DEL, and the lead bytes C2, E2 and EF.
constexpr auto isSpecial = [] {
  std::array<bool, 256> special{};
  for (size_t b = 0; b < 0x20; ++b)
    special[b] = b != '\n' && b != '\t';
  special[0x7F] = special[0xC2] = special[0xE2] = special[0xEF] = true;
  return special;
}();

unsigned char byteAt(std::string_view text, size_t i) { return static_cast<unsigned char>(text[i]); }

/// Whether none of 32 bytes is special, nor beyond ASCII. A loop that vectorises.
bool allPlain(const char *bytes) {
  unsigned char special = 0;
  for (size_t i = 0; i < 32; ++i) {
    auto c = static_cast<unsigned char>(bytes[i]);
    special |= static_cast<unsigned char>((c < 0x20) & (c != '\n') & (c != '\t')) | (c >= 0x7F);
  }
  return !special;
}

/// What becomes of the character at the front of a text.
struct Change {
  size_t size;                       // bytes that are read
  const char *put;                   // instead of them; null: they stay
  uint64_t CleanCounts::*count = {}; // what it counts as
};

Change changeControl(std::string_view text) {
  char c = text[0];
  if (c == '\r')
    return {text.size() > 1 && text[1] == '\n' ? 2u : 1u, "\n", &CleanCounts::lineEndings};
  if (c == '\v' || c == '\f')
    return {1, "\n", &CleanCounts::lineEndings};
  return {1, "", &CleanCounts::controls};
}

Change changeAt(std::string_view text, char before) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  if (byte(0) < 0x80)
    return changeControl(text);
  if (byte(0) == 0xC2) {
    if (byte(1) == 0x85)
      return {2, "\n", &CleanCounts::lineEndings};
    if (byte(1) < 0xA0)
      return {2, "", &CleanCounts::controls};
    if (byte(1) == 0xA0)
      return {2, " "};
    return byte(1) == 0xAD ? Change{2, "", &CleanCounts::invisible} : Change{2, nullptr};
  }
  if (byte(0) == 0xEF)
    return byte(1) == 0xBB && byte(2) == 0xBF ? Change{3, "", &CleanCounts::invisible} : Change{3, nullptr};
  unsigned low = byte(2);
  if (byte(1) == 0x80) {
    if (low == 0xA8 || low == 0xA9)
      return {3, "\n", &CleanCounts::lineEndings};
    bool joiner = low == 0x8C || low == 0x8D;
    if (joiner && static_cast<unsigned char>(before) >= 0x80)
      return {3, nullptr};
    if (joiner || low == 0x8B || low == 0x8E || low == 0x8F || (low >= 0xAA && low <= 0xAE))
      return {3, "", &CleanCounts::invisible};
  }
  if (byte(1) == 0x81 && low >= 0xA0 && low <= 0xAF)
    return {3, "", &CleanCounts::invisible};
  return {3, nullptr};
}

/// Appends the text without what is special; false (and nothing appended) if there is none.
bool strip(std::string_view text, std::string &out, CleanCounts &counts) {
  size_t done = 0;
  bool changed = false;
  for (size_t i = 0; i < text.size();) {
    if (i + 32 <= text.size() && allPlain(text.data() + i)) {
      i += 32;
      continue;
    }
    for (size_t end = std::min(text.size(), i + 32); i < end && !isSpecial[byteAt(text, i)];)
      ++i;
    if (i == text.size() || !isSpecial[byteAt(text, i)])
      continue;
    Change change = changeAt(text.substr(i), i > 0 ? text[i - 1] : '\0');
    if (change.put) {
      out.append(text.substr(done, i - done)).append(change.put);
      done = i + change.size;
      changed = true;
      if (change.count)
        ++(counts.*change.count);
    }
    i += change.size;
  }
  if (changed)
    out.append(text.substr(done));
  return changed;
}

/// Trims lines and drops empty ones that follow an empty one or stand at the ends.
void trimLines(std::string_view text, std::string &out) {
  bool empty = false; // an empty line waits to be written
  while (!text.empty()) {
    const void *newline = std::memchr(text.data(), '\n', text.size());
    size_t size =
        newline ? static_cast<size_t>(static_cast<const char *>(newline) - text.data()) : text.size();
    std::string_view line = text.substr(0, size);
    text.remove_prefix(size + (newline ? 1 : 0));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t'))
      line.remove_suffix(1);
    while (line.ends_with("\xE3\x80\x80")) // the ideographic space
      line.remove_suffix(3);
    if (line.empty()) {
      empty = !out.empty();
      continue;
    }
    if (!out.empty())
      out += empty ? "\n\n" : "\n";
    empty = false;
    out.append(line);
  }
}

} // namespace

void CleanCounts::add(const CleanCounts &other) {
  repaired += other.repaired;
  controls += other.controls;
  invisible += other.invisible;
  lineEndings += other.lineEndings;
  composed += other.composed;
}

std::string_view TextCleaner::clean(std::string_view text, CleanCounts &counts) {
  if (validUtf8Prefix(text) != text.size()) {
    repaired.clear();
    counts.repaired += appendRepairedUtf8(repaired, text);
    text = repaired;
  }
  stripped.clear();
  if (strip(text, stripped, counts))
    text = stripped;
  composed.clear();
  if (composeCanonical(text, composed)) {
    counts.composed += composed != text;
    text = composed;
  }
  lines.clear();
  trimLines(text, lines);
  return lines;
}

} // namespace sinter::data
