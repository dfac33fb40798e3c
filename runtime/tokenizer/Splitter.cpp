// SPDX-License-Identifier: Apache-2.0
// The expressions behind the splitters, as published with the models.
#include "runtime/tokenizer/Splitter.h"

namespace sinter {

namespace {

#define SINTER_CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SINTER_TAIL "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SINTER_PUNCTUATION "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SINTER_CASED(behind)                                                                                 \
  "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+" behind         \
  "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*" behind

struct Spelling {
  SplitterKind kind;
  std::string_view pattern;
};

// The first spelling of each kind is the one splitterPattern() gives.
constexpr Spelling spellings[] = {
    {SplitterKind::Gpt2,
     "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {SplitterKind::Gpt2, "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"},
    {SplitterKind::Gpt2,
     "'(?:[sdmt]|ll|ve|re)| ?\\p{L}++| ?\\p{N}++| ?[^\\s\\p{L}\\p{N}]++|\\s++$|\\s+(?!\\S)|\\s"},
    {SplitterKind::Llama3,
     SINTER_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}" SINTER_PUNCTUATION SINTER_TAIL},
    {SplitterKind::Llama3, "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}{1,3}| "
                           "?[^\\s\\p{L}\\p{N}]++[\\r\\n]*" SINTER_TAIL},
    {SplitterKind::Qwen2,
     SINTER_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" SINTER_PUNCTUATION SINTER_TAIL},
    {SplitterKind::Qwen35, SINTER_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
                                               "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SINTER_TAIL},
    {SplitterKind::O200k,
     SINTER_CASED(SINTER_CONTRACTIONS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SINTER_TAIL},
    {SplitterKind::Tekken, SINTER_CASED("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SINTER_TAIL},
    {SplitterKind::Cl100kAnyDigits,
     SINTER_CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+" SINTER_PUNCTUATION SINTER_TAIL},
};

} // namespace

std::string_view splitterPattern(SplitterKind kind) {
  for (const Spelling &spelling : spellings)
    if (spelling.kind == kind)
      return spelling.pattern;
  return {};
}

SplitterKind findSplitter(std::string_view pattern) {
  for (const Spelling &spelling : spellings)
    if (spelling.pattern == pattern)
      return spelling.kind;
  return SplitterKind::Count;
}

} // namespace sinter
