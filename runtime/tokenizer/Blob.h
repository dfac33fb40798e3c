// SPDX-License-Identifier: Apache-2.0
// The layout of a compiled tokenizer: one position-independent block of bytes that is mapped and used in
// place. frontend/tokenizer writes it, Tokenizer::open reads it. All integers are little-endian; sections
// start at multiples of 16. The bytes may come from anywhere: whoever follows an index found in the block
// checks it.
#ifndef SINTER_RUNTIME_TOKENIZER_BLOB_H
#define SINTER_RUNTIME_TOKENIZER_BLOB_H

#include "runtime/Result.h"
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace sinter {

inline constexpr char tokenizerMagic[8] = {'S', 'I', 'N', 'T', 'O', 'K', 0, 0};
inline constexpr uint32_t tokenizerVersion = 1;

enum class Section : uint32_t {
  Config,       // one TokenizerConfig
  Strings,      // bytes of all tokens, one after another
  Offsets,      // u32[tokens + 1] into Strings
  Flags,        // u8[tokens], TokenFlag
  Vocabulary,   // u32[], hash table by string: id | vocabularyTag(hash); emptySlot where free
  MergeSlots,   // u64[], hash table of pairs: left << 44 | right << 24 | rank; ~0 where free
  MergeResults, // u32[merges], the token each merge makes, by rank
  Ranks,        // u32[tokens], order in which merges make this token (models without explicit merges)
  Scores,       // f64[tokens], log-probabilities (Unigram)
  VocabularyTrie,
  RawTrie,    // added tokens found in the text as given; value: index into AddedTokens
  NormalTrie, // added tokens found after normalisation
  AddedTokens,
  Normalizers,   // Step[]
  PreTokenizers, // Step[]
  Decoders,      // Step[]
  Text,          // bytes that steps refer to
  Prefix,        // u32[], ids put in front by the post-processor
  Suffix,        // u32[], ids put behind
  ByteIds,       // i32[256], token of each byte or -1: first symbols of byte-level BPE, or byte fallback
  Adjacent,      // bits of a Bloom filter: characters that stand side by side inside some token
  CharsMap,      // sentencepiece's precompiled map as it is in the model file
  Count
};

struct SectionRange {
  uint64_t offset, size; // bytes
};

struct BlobHeader {
  char magic[8];
  uint32_t version;
  uint32_t sections; // Section::Count of the writer
  uint64_t size;     // bytes of the whole block
  SectionRange ranges[static_cast<size_t>(Section::Count)];
};

enum class ModelKind : uint32_t { Bpe = 0, Unigram = 1, WordLevel = 2 };

enum TokenFlag : uint8_t {
  TokenSpecial = 1,     // left out when special tokens are skipped
  TokenUnmatchable = 2, // has an id but is not in the model's vocabulary (an added token)
  TokenAbsent = 4,      // no token has this id
  TokenWhole = 8,       // merging its characters gives the token itself
};

enum ModelFlag : uint32_t {
  ModelByteLevel = 1,     // symbols are bytes; token strings are what they decode to
  ModelByteFallback = 2,  // unknown characters become byte tokens
  ModelIgnoreMerges = 4,  // a word that is a token is that token
  ModelFuseUnknown = 8,   // a run of unknown characters is one unknown token
  ModelRankedTokens = 16, // merge whatever makes a token, in the order of Ranks (no MergeSlots)
  ModelCuts = 32,         // Adjacent may cut words
  ModelJoinSpaces = 64,   // no decoder: tokens are joined with a space
};

struct TokenizerConfig {
  uint32_t model; // ModelKind
  uint32_t flags; // ModelFlag
  uint32_t tokens;
  int32_t unknown;       // id or -1
  int32_t bos, eos, pad; // ids or -1, for the caller
  uint32_t maxProbe;     // longest probe sequence in the hash tables
  uint32_t prefixOffset; // continuing_subword_prefix, in Text
  uint32_t prefixSize;
  uint32_t suffixOffset; // end_of_word_suffix, in Text
  uint32_t suffixSize;
  double unknownScore; // Unigram
};

inline constexpr uint32_t emptySlot = 0xFFFFFFFFu;
inline constexpr uint64_t emptyMerge = ~uint64_t{0};
inline constexpr uint32_t maxTokens = 1u << 20, maxMerges = (1u << 24) - 1;

/// One node of a double-array trie: the child for byte b is node base + b if its parent is this node.
struct TrieNode {
  uint32_t base;
  uint32_t parent; // emptySlot where free
  uint32_t value;  // emptySlot where no key ends
};

enum AddedFlag : uint32_t {
  AddedSpecial = 1,
  AddedStripLeft = 2,
  AddedStripRight = 4,
  AddedSingleWord = 8,
};

struct AddedEntry {
  uint32_t id;
  uint32_t flags;
};

/// What a step of normalisation, pre-tokenisation or decoding does. `a` and `b` are bytes in Text.
enum class StepKind : uint32_t {
  // normalizers
  Nfc,
  Nfd,
  Nfkc,
  Nfkd,
  Lowercase,
  StripText,
  StripAccents,
  Prepend,
  Replace,
  ReplaceRegex,
  CharsMap,
  ByteLevelText,
  // pre-tokenizers
  AddPrefixSpace, // ByteLevel's
  Splitter,       // option: SplitterKind
  SplitRegex,     // a: pattern; option: Behaviour | invert << 8
  SplitString,    // a: the string; option as above
  Digits,         // option: 1 when every digit stands alone
  Whitespace,
  WhitespaceSplit,
  Punctuation,  // option: Behaviour
  Metaspace,    // a: replacement; option: PrependScheme | split << 8
  ByteLevelMap, // text to the byte alphabet
  // decoders
  DecodeByteLevel,
  DecodeMetaspace,
  DecodeReplace,
  DecodeByteFallback,
  DecodeFuse,
  DecodeStrip,
  DecodeBpe,
  DecodeWordPiece,
};

enum class Behaviour : uint32_t { Isolated, Removed, Contiguous, MergedWithPrevious, MergedWithNext };
enum class PrependScheme : uint32_t { Always, First, Never };

struct Step {
  uint32_t kind; // StepKind
  uint32_t option;
  uint32_t aOffset, aSize;
  uint32_t bOffset, bSize;
};

/// A section of a block as an array of T; the header has been checked.
template <typename T> std::span<const T> section(const BlobHeader *header, Section which) {
  const SectionRange &range = header->ranges[static_cast<size_t>(which)];
  const auto *bytes = reinterpret_cast<const std::byte *>(header) + range.offset;
  return {reinterpret_cast<const T *>(bytes), range.size / sizeof(T)};
}

/// FNV-like hash of a short string, eight bytes a round; frontend and runtime must agree on it.
inline uint32_t hashString(std::string_view text) {
  uint64_t h = 0x9E3779B97F4A7C15u ^ text.size();
  while (text.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, text.data(), 8);
    h = (h ^ word) * 0xFF51AFD7ED558CCDu;
    h ^= h >> 32;
    text.remove_prefix(8);
  }
  uint64_t word = 0;
  std::memcpy(&word, text.data(), text.size());
  h = (h ^ word) * 0xFF51AFD7ED558CCDu;
  return static_cast<uint32_t>(h >> 32 ^ h);
}

inline uint32_t hashPair(uint32_t left, uint32_t right) {
  uint64_t h = (uint64_t{left} << 32 | right) * 0x9E3779B97F4A7C15u;
  return static_cast<uint32_t>(h >> 32);
}

/// The bits of a hash that stand beside an id in the hash table, so that most other strings are told apart
/// there.
inline uint32_t vocabularyTag(uint32_t hash) { return (hash * 0x85EBCA6Bu) & 0xFFF00000u; }

/// Maps a hash onto [0, slots) without a division.
inline uint32_t slotOf(uint32_t hash, size_t slots) {
  return static_cast<uint32_t>(uint64_t{hash} * slots >> 32);
}

/// Bit of the pair (a, b) in a filter of `bits` bits; a and b are code points, or bytes with bit 31 set.
inline uint32_t adjacentBit(uint32_t a, uint32_t b, size_t bits) {
  return slotOf(hashPair(a, b) ^ hashPair(b + 0x51ED27u, a), bits);
}

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_BLOB_H
