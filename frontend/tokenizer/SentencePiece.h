// SPDX-License-Identifier: Apache-2.0
// Reads sentencepiece's tokenizer.model.
#ifndef SINTER_FRONTEND_TOKENIZER_SENTENCEPIECE_H
#define SINTER_FRONTEND_TOKENIZER_SENTENCEPIECE_H

#include "frontend/tokenizer/TokenizerSpec.h"
#include <span>

namespace sinter {

/// The tokenizer that transformers' converters make of the file: BPE as for Llama (U+2581 put in front if the
/// model adds a dummy prefix, byte fallback) with a begin token, Unigram as for T5 without its end token.
/// `name` stands for the file in messages.
Result<TokenizerSpec> readSentencePiece(std::span<const std::byte> bytes, std::string_view name);

} // namespace sinter

#endif // SINTER_FRONTEND_TOKENIZER_SENTENCEPIECE_H
