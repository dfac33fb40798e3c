// SPDX-License-Identifier: Apache-2.0
// Cuts inputs into batches of documents, always at the same places: what one core works on at a time. Reading
// is cheap (unpacking, looking for newlines); parsing and cleaning is up to whoever gets the batch.
#ifndef SINTER_RUNTIME_DATA_DOCUMENTREADER_H
#define SINTER_RUNTIME_DATA_DOCUMENTREADER_H

#include "runtime/data/Inputs.h"
#include "runtime/data/TextSource.h"

#include <deque>
#include <optional>

namespace sinter::data {

/// A range of a batch: one document, or whole lines of a .jsonl file.
struct Piece {
  uint32_t input; // index into the inputs
  Format format;
  uint64_t number; // of the document in its input, or of the first line, from 0
  size_t begin, end;
  std::string name; // WET: the record's address
};

struct Batch {
  std::string bytes; // UTF-8, perhaps ill-formed here and there
  std::vector<Piece> pieces;
  std::vector<std::string> notes; // what the user should know: a file skipped, an encoding converted
  uint64_t read = 0;              // bytes that this batch took from the inputs, unpacked

  std::string_view text(const Piece &piece) const {
    return std::string_view(bytes).substr(piece.begin, piece.end - piece.begin);
  }
};

struct ReaderLimits {
  size_t batch = 1 << 20;    // bytes after which a batch is full
  size_t document = 8 << 20; // text documents longer than this are cut
  size_t line = 64 << 20;    // longer lines of .jsonl are skipped, with a note
  /// Where a text document that is too long is cut: false: behind a paragraph, else a line, else a word;
  /// true: behind a letter or digit that ASCII follows which is neither, or no letter behind a letter, where
  /// every splitter of runtime/tokenizer cuts anyway. More than `line` bytes without such a place are an
  /// error.
  bool betweenWords = false;
};

/// Limits with which what is read at once is a small share of `memory` bytes.
ReaderLimits limitsFor(size_t memory);
/// Bytes of batches that may be worked on at once, each of which takes a few times its size meanwhile.
constexpr size_t bytesInFlight(size_t memory) { return memory / 16; }
inline size_t sizeOf(const Batch &batch) { return batch.bytes.size(); }

class DocumentReader {
public:
  DocumentReader(std::vector<Input> inputs, ReaderLimits limits);

  /// The next batch, or nothing at the end. Errors: files that cannot be read or are damaged, and binary ones
  /// that the user named.
  Result<std::optional<Batch>> next();

  const std::vector<Input> &inputs() const { return list; }

private:
  Result<bool> open();
  Result<bool> fill(size_t wanted);
  Result<bool> step(Batch &batch);
  Result<bool> stepText(Batch &batch);
  Result<bool> stepLines(Batch &batch);
  Result<bool> stepWet(Batch &batch);
  void give(Batch &batch, size_t size, std::string name = {});
  size_t findCut() const;

  const std::vector<Input> list;
  const ReaderLimits limits;
  size_t current = 0;
  bool isOpen = false;
  TextSource source;
  std::string pending; // read, from `used` on not yet given out
  size_t used = 0;
  bool ended = false; // the source has no more
  uint64_t number = 0, taken = 0;
};

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_DOCUMENTREADER_H
