// SPDX-License-Identifier: Apache-2.0
// Builds the double-array tries that runtime/tokenizer/Trie.h reads.
#ifndef SINTER_FRONTEND_TOKENIZER_TRIEBUILDER_H
#define SINTER_FRONTEND_TOKENIZER_TRIEBUILDER_H

#include "runtime/tokenizer/Blob.h"
#include <map>
#include <string>
#include <vector>

namespace sinter {

/// A trie of the given keys (not empty ones); no nodes if there are none.
std::vector<TrieNode> buildTrie(const std::map<std::string, uint32_t> &values);

} // namespace sinter

#endif // SINTER_FRONTEND_TOKENIZER_TRIEBUILDER_H
