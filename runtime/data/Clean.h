// SPDX-License-Identifier: Apache-2.0
// `sinter data clean`: from files of any kind to .jsonl.zst shards of clean documents, each there once.
#ifndef SINTER_RUNTIME_DATA_CLEAN_H
#define SINTER_RUNTIME_DATA_CLEAN_H

#include "runtime/data/Inputs.h"
#include "runtime/data/Tally.h"
#include "runtime/data/WordList.h"

#include <functional>

namespace sinter::data {

struct CleanOptions {
  std::vector<Input> inputs;
  std::vector<Input> known; // what an earlier run wrote: only compared with
  std::string output;       // folder
  std::string field = "text";
  uint64_t filters = 0;               // bit i: filters()[i] is on
  bool boilerplate = true;            // drop lines of boilerplate
  unsigned mask = 0;                  // kinds of personal data, see maskPersonalData()
  std::vector<std::string> languages; // kept; empty: all
  WordList words;                     // documents with any of them are dropped
  bool near = true;                   // drop near-duplicates, not only equal documents
  double threshold = 0.8;             // Jaccard similarity from which two documents are near-duplicates
  double validation = 0;              // share of documents that is held out
  uint64_t shardBytes = 256 << 20;    // of text a shard
  int level = 3;                      // of zstd
  size_t memory = size_t(2) << 30;
  unsigned threads = 1;
  std::function<void(std::string_view what, uint64_t done, uint64_t of)> progress;
};

/// Cleans, filters, drops duplicates (of equal or similar documents the first stays), and writes
///   train-00000.jsonl.zst ..., val-00000.jsonl.zst ...: lines of id, source, text
///   duplicates.jsonl.zst: id, source, kept (the id of the document that stays), similarity
///   report.json, report.html
/// Everything depends on inputs and options only, not on threads or on how often the run was interrupted:
/// what is done lies in `output`/.work, from where the same command goes on. Fails for what cannot be read or
/// written, for a folder that holds other files, for another run in it, and for no documents at all.
Result<Tally> cleanData(const CleanOptions &options);

/// The report as JSON and as a page with pictures.
std::string makeReportJson(const Tally &tally, const CleanOptions &options);
std::string makeReportHtml(const Tally &tally, const CleanOptions &options);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_CLEAN_H
