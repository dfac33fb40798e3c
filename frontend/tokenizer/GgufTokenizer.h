// SPDX-License-Identifier: Apache-2.0
// Reads the tokenizer of a GGUF file from its metadata (tokenizer.ggml.*).
#ifndef SINTER_FRONTEND_TOKENIZER_GGUFTOKENIZER_H
#define SINTER_FRONTEND_TOKENIZER_GGUFTOKENIZER_H

#include "frontend/tokenizer/TokenizerSpec.h"
#include "runtime/files/Gguf.h"

namespace sinter {

/// Models "gpt2" (byte-level BPE, split as tokenizer.ggml.pre names) and "llama" (sentencepiece BPE). Errors
/// name the file and the key.
Result<TokenizerSpec> readGgufTokenizer(const Gguf &file);

/// How text is split for a tokenizer.ggml.pre.
struct GgufPreTokenizer {
  std::vector<StepSpec> steps;
  bool nfc = false;          // the model's tokenizer.json normalises to NFC
  bool ignoreMerges = false; //
  bool addBos = false;       // when the file does not say
};
/// Nothing for a name that is not known.
std::optional<GgufPreTokenizer> findGgufPreTokenizer(std::string_view name);
/// All known names, for messages.
std::string knownGgufPreTokenizers();

} // namespace sinter

#endif // SINTER_FRONTEND_TOKENIZER_GGUFTOKENIZER_H
