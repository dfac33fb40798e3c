// SPDX-License-Identifier: Apache-2.0
// Reads tokenizer.json (Hugging Face tokenizers) and what tokenizer_config.json (transformers) changes of it.
#ifndef SINTER_FRONTEND_TOKENIZER_TOKENIZERJSON_H
#define SINTER_FRONTEND_TOKENIZER_TOKENIZERJSON_H

#include "frontend/tokenizer/TokenizerSpec.h"
#include "runtime/files/Json.h"

namespace sinter {

/// The description in a tokenizer.json. Padding and truncation are not part of it. What is not supported
/// (WordPiece, dropout, the CTC decoder, ...) is an error that names the key.
Result<TokenizerSpec> readTokenizerJson(JsonValue root);

/// Whether transformers reads special_tokens_map.json and added_tokens.json beside this
/// tokenizer_config.json: the files from before there was an added_tokens_decoder.
bool takesOlderFiles(JsonValue root);

/// Applies a tokenizer_config.json as transformers does: added_tokens_decoder and the tokens with names, and
/// where it takes older files, `names`, a special_tokens_map.json, and `more`, an added_tokens.json.
Result<> applyTokenizerConfig(TokenizerSpec &spec, JsonValue root, JsonValue names = {}, JsonValue more = {});

/// Applies add_bos_token and add_eos_token of a tokenizer_config.json, either of which replaces the
/// post-processor. transformers reads them only beside a tokenizer.model: a tokenizer.json says itself what
/// it adds.
Result<> applyTokensAround(TokenizerSpec &spec, JsonValue root);

/// The parts of tokenizer.json (TokenizerSteps.cpp), each a list, outer sequences flattened.
Result<> readNormalizer(JsonValue json, TokenizerSpec &spec);
Result<> readPreTokenizer(JsonValue json, TokenizerSpec &spec);
Result<> readDecoder(JsonValue json, TokenizerSpec &spec);
/// Adds ids outside of what `spec` has around a text already.
Result<> readPostProcessor(JsonValue json, TokenizerSpec &spec);

} // namespace sinter

#endif // SINTER_FRONTEND_TOKENIZER_TOKENIZERJSON_H
