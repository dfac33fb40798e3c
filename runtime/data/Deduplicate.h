// SPDX-License-Identifier: Apache-2.0
// The second and third stage of cleaning: which documents stay, and the shards they are written to.
#ifndef SINTER_RUNTIME_DATA_DEDUPLICATE_H
#define SINTER_RUNTIME_DATA_DEDUPLICATE_H

#include "runtime/data/Clean.h"
#include "runtime/data/Measures.h"
#include "runtime/data/Segments.h"

#include <span>

namespace sinter::data {

class Deduplication {
public:
  Deduplication(const CleanOptions &options, const std::vector<Input> &inputs, std::string work);

  /// Opens the segments and goes through all documents in order. One is dropped when an earlier one that
  /// stays has at least options.threshold of their shingles in common (Jaccard, computed from both texts).
  Result<> run();

  /// Writes the shards of what stays and the list of what does not.
  Result<> writeShards();

  const Tally &tally() const { return counts; }

private:
  /// Of a document that is no copy.
  struct Place {
    size_t offset; // into the segment
    uint32_t segment;
    uint32_t keptFor; // the document that stays in its place, or noDocument
    uint32_t others;  // that were dropped for it
    float similarity; // to keptFor
  };
  enum class Part { Train, Validation };

  Record read(uint32_t document) const;
  bool isKnown(const Record &record) const { return record.input < options.known.size(); }
  bool isHeldOut(const Record &record) const;
  std::string idOf(const Record &record) const;
  void findNear();
  Result<> writePart(Part part);
  Result<> writeDuplicates();

  const CleanOptions &options;
  const std::vector<Input> &inputs;
  std::string work;
  std::vector<Segment> segments;
  LargeTable table; // of all documents that are no copies
  std::span<Place> places;
  Tally counts;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_DEDUPLICATE_H
