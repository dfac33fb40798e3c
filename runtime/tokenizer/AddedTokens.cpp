// SPDX-License-Identifier: Apache-2.0
// A byte filter finds where tokens may start, a trie tells which one does.
#include "runtime/tokenizer/AddedTokens.h"
#include "runtime/tokenizer/Unicode.h"
#include <algorithm>
#include <cstring>

namespace sinter {

namespace {

using namespace unicode;

bool isSpaceAt(std::string_view text, size_t at, size_t &size) {
  Char c = decode(text.data() + at);
  size = c.size;
  return category(c.code) & Space;
}

} // namespace

AddedTokens::AddedTokens(const BlobHeader *blob, Section which)
    : trie(section<TrieNode>(blob, which)), entries(section<AddedEntry>(blob, Section::AddedTokens)) {
  if (trie.empty())
    return;
  int count = 0;
  for (int b = 0; b < 256; ++b) {
    starts[b] = trie.child(Trie::root, static_cast<char>(b)) != emptySlot;
    if (starts[b]) {
      onlyStart = b;
      ++count;
    }
  }
  if (count != 1)
    onlyStart = -1;
}

size_t AddedTokens::findStart(std::string_view text, size_t from) const {
  if (onlyStart >= 0) {
    const void *found = std::memchr(text.data() + from, onlyStart, text.size() - from);
    return found ? static_cast<size_t>(static_cast<const char *>(found) - text.data()) : text.size();
  }
  while (from < text.size() && !starts[static_cast<unsigned char>(text[from])])
    ++from;
  return from;
}

AddedTokens::Match AddedTokens::find(std::string_view text, size_t from, size_t taken, bool special,
                                     size_t &resume) const {
  while (from < text.size()) {
    size_t begin = findStart(text, from);
    if (begin == text.size())
      break;
    Trie::Match match = trie.longestPrefix(text.substr(begin));
    if (match.size == 0 || match.value >= entries.size()) {
      from = begin + 1;
      continue;
    }
    const AddedEntry &entry = entries[match.value];
    size_t end = begin + match.size;
    from = resume = end;
    if ((entry.flags & AddedSpecial) && !special)
      continue;
    if (entry.flags & AddedSingleWord) {
      bool open = begin == 0 || !isWord(decode(text.data() + charBefore(text, begin)).code);
      bool closed = end == text.size() || !isWord(decode(text.data() + end).code);
      if (!open || !closed)
        continue;
    }
    size_t size = 0;
    if (entry.flags & AddedStripLeft) {
      while (begin > 0 && isSpaceAt(text, charBefore(text, begin), size))
        begin = charBefore(text, begin);
      begin = std::max(begin, taken);
    }
    if (entry.flags & AddedStripRight)
      while (end < text.size() && isSpaceAt(text, end, size))
        end += size;
    if (begin >= end) // a space that the token before it has taken
      continue;
    return {begin, end, entry.id};
  }
  resume = text.size();
  return {text.size(), text.size(), 0};
}

} // namespace sinter
