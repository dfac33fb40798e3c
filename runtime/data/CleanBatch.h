// SPDX-License-Identifier: Apache-2.0
// The work on one batch of documents: clean, measure, filter, mask, hash. Independent of all other batches.
#ifndef SINTER_RUNTIME_DATA_CLEANBATCH_H
#define SINTER_RUNTIME_DATA_CLEANBATCH_H

#include "runtime/data/Clean.h"
#include "runtime/data/CleanText.h"
#include "runtime/data/DocumentReader.h"
#include "runtime/data/Measures.h"
#include "runtime/data/Segments.h"

#include <deque>

namespace sinter::data {

/// What came through; `records` refer to `strings`.
struct CleanBatch {
  std::vector<Record> records;
  std::deque<std::string> strings;
  Tally tally;
  uint64_t read = 0; // bytes of the inputs
};

/// Working memory of a thread.
class BatchCleaner {
public:
  /// `inputs` are options.known, then options.inputs.
  BatchCleaner(const CleanOptions &options, const std::vector<Input> &inputs)
      : options(options), inputs(inputs) {}
  CleanBatch run(const Batch &batch);

private:
  void take(CleanBatch &out, uint32_t input, uint64_t number, std::string_view id, std::string_view text);
  std::string_view dropBoilerplate(std::string_view text, Tally &tally);
  Hash128 hashOf(std::string_view text);

  const CleanOptions &options;
  const std::vector<Input> &inputs;
  TextCleaner cleaner;
  Measurer measurer;
  CleanCounts cleaned;
  std::string kept, masked, normal;
  std::vector<uint64_t> shingles;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_CLEANBATCH_H
