// SPDX-License-Identifier: Apache-2.0
// What the first stage of cleaning leaves on disk for the second: documents with their hashes, in files that
// are complete or not there.
#ifndef SINTER_RUNTIME_DATA_SEGMENTS_H
#define SINTER_RUNTIME_DATA_SEGMENTS_H

#include "runtime/data/Hash.h"
#include "runtime/data/LargeTable.h"
#include "runtime/data/MinHash.h"
#include "runtime/data/Tally.h"
#include "runtime/files/AtomicFile.h"
#include "runtime/files/MappedFile.h"

#include <optional>

namespace sinter::data {

inline constexpr uint32_t noDocument = ~0u;

/// A document that came through the filters.
struct Record {
  Hash128 hash{}; // of the normalised text
  Bands bands{};
  uint64_t number = 0; // in its input
  uint32_t input = 0;
  uint32_t copyOf = noDocument; // index of an equal document before it; then there is no text
  std::string_view id, text;
};

/// A finished segment. Segments are written by this program and read on the same machine.
struct Segment {
  MappedFile file; // of records; not open when there are none
  uint64_t batches = 0;
  Tally tally;

  /// The record at `at`, which moves behind it; nothing at the end or where the file is damaged.
  std::optional<Record> next(size_t &at) const;
};

std::string segmentPath(const std::string &folder, size_t number, std::string_view ending);

/// Writes segments one after another: first the records of each, then the description that makes it count.
class SegmentFile {
public:
  explicit SegmentFile(std::string folder) : folder(std::move(folder)) {}
  Result<> append(size_t number, const Record &record);
  /// Bytes of the segment's records so far.
  uint64_t size() const { return written + buffer.size(); }
  Result<> finish(size_t number, uint64_t batches, const Tally &tally);

private:
  Result<> flush(size_t number);

  std::string folder, buffer;
  uint64_t written = 0;
  std::optional<AtomicFile> file;
};

/// Nothing where segment `number` was not finished.
Result<std::optional<Segment>> openSegment(const std::string &folder, size_t number);

/// Which documents were seen: hash to index.
class HashIndex {
public:
  HashIndex(size_t memory, std::string folder)
      : memory(memory), folder(std::move(folder)), table(capacity * sizeof(Slot), memory, this->folder) {}
  /// The document with this hash; if there is none, `document` from now on, and noDocument is given.
  uint32_t findOrAdd(Hash128 hash, uint32_t document);

private:
  struct Slot {
    Hash128 hash;
    uint32_t next; // document + 1; 0: free
  };
  size_t memory;
  std::string folder;
  size_t capacity = 1 << 12, used = 0;
  LargeTable table;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_SEGMENTS_H
