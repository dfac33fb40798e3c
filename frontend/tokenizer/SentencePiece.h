// SPDX-License-Identifier: Apache-2.0
// Reads sentencepiece's tokenizer.model.
#ifndef SINTER_FRONTEND_TOKENIZER_SENTENCEPIECE_H
#define SINTER_FRONTEND_TOKENIZER_SENTENCEPIECE_H

#include "frontend/tokenizer/TokenizerSpec.h"
#include "runtime/files/Json.h"
#include "runtime/tokenizer/Blob.h"
#include <optional>
#include <span>

namespace sinter {

/// Where transformers' LlamaTokenizer puts U+2581 in front of a text, as tokenizer_config.json says: First,
/// with `legacy` Always, with `add_prefix_space` false Never. Nothing if `tokenizer_class` is not that one.
Result<std::optional<PrependScheme>> readPrependScheme(JsonValue config);

/// The tokenizer that transformers makes of the file: BPE as for Llama (byte fallback) with a begin token,
/// Unigram as for T5 without its end token. Where the model adds a dummy prefix, BPE puts U+2581 by `scheme`,
/// or else, as LlamaConverter does, in front of every part between special tokens, even if that begins with a
/// space. `name` stands for the file in messages.
Result<TokenizerSpec> readSentencePiece(std::span<const std::byte> bytes, std::string_view name,
                                        std::optional<PrependScheme> scheme = std::nullopt);

} // namespace sinter

#endif // SINTER_FRONTEND_TOKENIZER_SENTENCEPIECE_H
