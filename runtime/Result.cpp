// SPDX-License-Identifier: Apache-2.0
// What messages show of long texts.
#include "runtime/Result.h"

namespace sinter {

namespace {

bool isInsideOfCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

} // namespace

std::string shortened(std::string_view text) {
  constexpr size_t most = 1024;
  if (text.size() <= most)
    return std::string(text);
  // A message in a message stays whole: two such ends and what stands between them are less than `most`.
  size_t head = 300, tail = text.size() - 100;
  while (head > 297 && isInsideOfCharacter(text[head]))
    --head;
  while (tail < text.size() - 97 && isInsideOfCharacter(text[tail]))
    ++tail;
  return fmt::format("{} ... ({} bytes left out) ... {}", text.substr(0, head), tail - head,
                     text.substr(tail));
}

} // namespace sinter
