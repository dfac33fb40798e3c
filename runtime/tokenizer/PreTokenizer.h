// SPDX-License-Identifier: Apache-2.0
// Cuts normalised text into the pieces that the model encodes one by one: a list of steps, each as Hugging
// Face's pre-tokenizer of that name does it.
#ifndef SINTER_RUNTIME_TOKENIZER_PRETOKENIZER_H
#define SINTER_RUNTIME_TOKENIZER_PRETOKENIZER_H

#include "runtime/tokenizer/Blob.h"
#include "runtime/tokenizer/Regex.h"
#include "runtime/tokenizer/Splitter.h"
#include <optional>
#include <string>
#include <vector>

namespace sinter {

class Growth;

class PreTokenizer {
public:
  PreTokenizer() = default;
  /// Adds what the steps may do to the length of a text to `growth`, which is that of the steps before. An
  /// error if that is too much, an expression does not compile or a step is unknown.
  static Result<PreTokenizer> open(const BlobHeader *blob, Growth &growth);

  struct Piece {
    size_t begin, end;
    bool first; // begins where the whole original text begins
  };
  /// Working memory of one thread.
  struct Scratch {
    std::string text, nextText;
    std::vector<Piece> pieces, nextPieces;
    struct Part {
      size_t begin, end;
      bool match;
    };
    std::vector<Part> parts;
  };

  /// Calls use(std::string_view word, const char *textEnd) for every piece of `text`, in order. `first`: the
  /// text begins where the original does.
  template <typename Use> void run(std::string_view text, bool first, Scratch &scratch, Use use) const {
    if (text.empty())
      return;
    scratch.pieces.assign(1, {0, text.size(), first});
    for (size_t i = 0; i < early; ++i)
      apply(i, text, scratch);
    const char *end = text.data() + text.size();
    for (const Piece &piece : scratch.pieces) {
      if (lastSplitter)
        split(*lastSplitter, text, piece.begin, piece.end,
              [&](size_t b, size_t e) { use(text.substr(b, e - b), end); });
      else
        use(text.substr(piece.begin, piece.end - piece.begin), end);
    }
  }

private:
  void apply(size_t index, std::string_view &text, Scratch &scratch) const;
  void splitPiece(size_t index, std::string_view text, const Piece &piece, Scratch &scratch) const;
  void metaspace(const Step &step, std::string_view text, const Piece &piece, Scratch &scratch) const;

  std::span<const Step> steps;
  std::span<const char> strings;
  std::vector<std::optional<Regex>> regexes; // one a step
  size_t early = 0;                          // steps before a splitter that comes last
  std::optional<SplitterKind> lastSplitter;
};

/// The bytes that a step's `a` or `b` refers to; empty if they are out of the section.
std::string_view stepText(std::span<const char> text, uint32_t offset, uint32_t size);

/// Appends the byte alphabet's characters for `bytes` (GPT-2's bytes_to_unicode).
void appendByteAlphabet(std::string &out, std::string_view bytes);
/// The byte that a character of the byte alphabet stands for, or -1.
int byteOfAlphabet(uint32_t c);

} // namespace sinter

#endif // SINTER_RUNTIME_TOKENIZER_PRETOKENIZER_H
