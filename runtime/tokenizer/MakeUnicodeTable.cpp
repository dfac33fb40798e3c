// SPDX-License-Identifier: Apache-2.0
// Runs at build time: writes UnicodeTable.inc, the two-level table of Unicode categories that splitting
// needs. One byte a code point: the category in the low five bits, `changesUnderNfc` in the highest.
#include "runtime/tokenizer/Unicode16.h"
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <vector>

namespace {

constexpr int codePoints = 0x110000;
constexpr int blockSize = 128;
constexpr int spaceControl = 30; // control characters that are white space: U+0009..U+000D, U+0085
constexpr unsigned changesUnderNfc = 0x80;

bool isSurrogate(int c) { return c >= 0xD800 && c <= 0xDFFF; }

/// Normalises one code point; empty where utf8proc refuses.
std::vector<int32_t> normalise(int c, int options) {
  if (isSurrogate(c))
    return {};
  int32_t out[64];
  int last = 0;
  utf8proc_ssize_t n = utf8proc_decompose_char(c, out, 64, static_cast<utf8proc_option_t>(options), &last);
  return n < 0 ? std::vector<int32_t>{} : std::vector<int32_t>(out, out + n);
}

/// Code points that NFC may change, reorder or join with the one before.
std::set<int> findNfcUnsafe() {
  std::set<int> unsafe;
  for (int c = 0; c < codePoints; ++c) {
    if (isSurrogate(c))
      continue;
    const utf8proc_property_t *property = utf8proc_get_property(c);
    if (property->combining_class != 0)
      unsafe.insert(c);
    std::vector<int32_t> parts = normalise(c, UTF8PROC_DECOMPOSE | UTF8PROC_STABLE);
    if (parts.size() == 1 && parts[0] == c)
      continue;
    std::vector<int32_t> composed = parts;
    utf8proc_ssize_t n =
        utf8proc_normalize_utf32(composed.data(), static_cast<utf8proc_ssize_t>(composed.size()),
                                 static_cast<utf8proc_option_t>(UTF8PROC_COMPOSE | UTF8PROC_STABLE));
    if (!(n == 1 && composed[0] == c))
      unsafe.insert(c);
    for (size_t i = 1; i < parts.size(); ++i) // whatever may follow a first part may join it
      unsafe.insert(parts[i]);
  }
  for (int c = 0x1161; c <= 0x11FF; ++c) // Hangul vowels and finals
    unsafe.insert(c);
  return unsafe;
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s OUTPUT\n", argv[0]);
    return 2;
  }
  std::vector<unsigned char> table(codePoints);
  for (int c = 0; c < codePoints; ++c)
    table[c] = static_cast<unsigned char>(isSurrogate(c) ? UTF8PROC_CATEGORY_CS : utf8proc_category(c));
  for (const sinter::CategoryRange &range : sinter::unicode16Changes)
    for (int c = range.first; c <= range.last; ++c)
      table[c] = static_cast<unsigned char>(range.category);
  for (int c : {0x9, 0xA, 0xB, 0xC, 0xD, 0x85})
    table[c] = spaceControl;
  for (int c : findNfcUnsafe())
    table[c] |= changesUnderNfc;

  std::map<std::array<unsigned char, blockSize>, int> known;
  std::vector<std::array<unsigned char, blockSize>> blocks;
  std::vector<int> index;
  for (int start = 0; start < codePoints; start += blockSize) {
    std::array<unsigned char, blockSize> block;
    for (int i = 0; i < blockSize; ++i)
      block[i] = table[start + i];
    auto [it, fresh] = known.try_emplace(block, static_cast<int>(blocks.size()));
    if (fresh)
      blocks.push_back(block);
    index.push_back(it->second);
  }

  std::FILE *out = std::fopen(argv[1], "w");
  if (!out) {
    std::perror(argv[1]);
    return 1;
  }
  std::fprintf(out, "inline constexpr unsigned short unicodeIndex[%zu] = {", index.size());
  for (size_t i = 0; i < index.size(); ++i)
    std::fprintf(out, "%s%d,", i % 24 ? "" : "\n", index[i]);
  std::fprintf(out, "};\ninline constexpr unsigned char unicodeBlocks[%zu] = {", blocks.size() * blockSize);
  for (const auto &block : blocks)
    for (int i = 0; i < blockSize; ++i)
      std::fprintf(out, "%s%d,", i % 32 ? "" : "\n", block[i]);
  std::fprintf(out, "};\n");
  return std::fclose(out) == 0 ? 0 : 1;
}
