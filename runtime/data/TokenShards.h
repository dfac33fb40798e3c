// SPDX-License-Identifier: Apache-2.0
// Token shards: the tokens of a corpus in files that training maps into memory, packed into sequences of any
// length, in an order that a seed decides.
//
// A folder holds tokens.json (version, tokenizer, totals) and train-00000.tokens, ..., val-00000.tokens, ....
// A shard is a header of 64 bytes, the ids (u16 where the vocabulary has at most 65536, else u32; documents
// behind each other, each ended by the end token), then the first token of each document as u64, all
// little-endian. Beside a shard may lie one with the ending .answers, of as many numbers: 1 where a token is
// to be learnt, 0 where it only is to be read.
#ifndef SINTER_RUNTIME_DATA_TOKENSHARDS_H
#define SINTER_RUNTIME_DATA_TOKENSHARDS_H

#include "runtime/Result.h"
#include "runtime/files/AtomicFile.h"
#include "runtime/files/MappedFile.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace sinter::data {

struct ShardHeader {
  char magic[8]; // "SINTERTK"
  uint32_t version;
  uint32_t width; // bytes an id: 2 or 4
  uint64_t tokens, documents;
  uint64_t vocabulary; // every id is below
  uint64_t tokenizer;  // checksum of its compiled tables: shards of another one do not fit; 0: unknown
  uint64_t bytes;      // of text
  uint64_t checksum;   // XXH3 of ids and document starts
};
static_assert(sizeof(ShardHeader) == 64);

/// One mapped shard.
class TokenShard {
public:
  /// Checks header and size; with `verify` also the checksum, that ids are below the vocabulary and that
  /// documents ascend. Any bytes may be given: what open() accepts with `verify` is safe to use.
  static Result<TokenShard> open(const std::string &path, bool verify);

  const ShardHeader &header() const { return *reinterpret_cast<const ShardHeader *>(file.bytes().data()); }
  const std::string &path() const { return file.path(); }
  /// Where document `index` begins; the number of tokens for index == documents.
  uint64_t documentStart(uint64_t index) const {
    return index < header().documents ? starts[index] : header().tokens;
  }
  /// Index of the document that token `at` is in.
  uint64_t documentOf(uint64_t at) const;
  /// Copies ids [begin, begin + out.size()).
  void copy(uint64_t begin, std::span<int32_t> out) const;

private:
  MappedFile file;
  const std::byte *ids = nullptr;
  std::span<const uint64_t> starts;
};

/// Checks a shard's bytes: what TokenShard::open() does, for fuzzing. `name` stands for the file.
Result<> checkShard(std::span<const std::byte> bytes, const std::string &name, bool verify);

/// Writes one shard; the file is there when finish() has succeeded.
class ShardWriter {
public:
  static Result<ShardWriter> create(const std::string &path, uint64_t vocabulary, uint64_t tokenizer);
  /// A document of `bytes` bytes of text; its end token included in `ids`.
  Result<> add(std::span<const int32_t> ids, uint64_t bytes);
  uint64_t tokens() const { return header.tokens; }
  Result<> finish();
  /// The header, complete after finish().
  const ShardHeader &written() const { return header; }

private:
  explicit ShardWriter(AtomicFile file) : file(std::move(file)) {}
  AtomicFile file;
  ShardHeader header{};
  std::vector<std::byte> body; // ids so far
  std::vector<uint64_t> starts;
};

/// A number in [0, count) for each in [0, count), each once: a pseudorandom permutation that needs no table
/// (a Feistel network of four rounds, walked until the number is in range). Depends on `seed` and `count`
/// only.
uint64_t permute(uint64_t index, uint64_t count, uint64_t seed);

/// All shards of one part of a folder as one stream of tokens.
class TokenStream {
public:
  enum class Order { Sequential, Shuffled };

  /// `part`: "train" or "val". Reads all of it once: fails when the folder has no tokens.json, a shard is
  /// damaged or has an id beyond its vocabulary, or shards differ in vocabulary or tokenizer. A part without
  /// shards is a stream without tokens.
  static Result<TokenStream> open(const std::string &folder, const std::string &part);
  /// Raw little-endian ids without a header (.u16 or .u32): one stream, one document.
  static Result<TokenStream> openRaw(const std::string &path);

  /// Fails when a token may not be below `vocabulary`: by the shards' headers, or at the first such raw id.
  Result<> checkBelow(uint64_t vocabulary) const;

  uint64_t tokens() const { return total; }
  uint64_t bytes() const { return textBytes; }             // of text; 0: unknown
  uint64_t vocabulary() const { return vocabularySize; }   // 0: unknown
  uint64_t tokenizer() const { return tokenizerChecksum; } // 0: unknown
  uint64_t checksum() const { return contentChecksum; }    // of all ids, documents and marks of answers
  /// Sequences of `length` inputs whose targets, shifted by one, are all there.
  uint64_t sequences(uint64_t length) const { return total > length ? (total - 1) / length : 0; }

  /// Sequence `index` of an epoch (below sequences()): ids has length + 1 places, of which the first `length`
  /// are inputs and the last `length` targets; `document`, of the same size, numbers the documents in the
  /// sequence from 0 (attention does not cross from one to another). Shuffled: the order is permute(index,
  /// sequences, seed + epoch).
  /// `learnt`, of the same size or empty, gets 1 for tokens to learn and 0 for others.
  void read(uint64_t index, Order order, uint64_t seed, std::span<int32_t> ids, std::span<int32_t> document,
            std::span<int32_t> learnt = {}) const;

private:
  struct Part {
    uint64_t begin; // of its first token in the stream
    TokenShard shard;
    std::optional<TokenShard> answers;
  };
  std::vector<Part> parts;
  std::optional<MappedFile> raw;
  uint32_t rawWidth = 0;
  uint64_t total = 0, textBytes = 0, vocabularySize = 0, tokenizerChecksum = 0, contentChecksum = 0;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_TOKENSHARDS_H
