// SPDX-License-Identifier: Apache-2.0
// Finds and reads the tokenizer of a Hugging Face folder.
#ifndef SINTER_FRONTEND_TOKENIZER_FOLDERTOKENIZER_H
#define SINTER_FRONTEND_TOKENIZER_FOLDERTOKENIZER_H

#include "frontend/tokenizer/TokenizerSpec.h"

namespace sinter {

/// tokenizer.json, else tokenizer.model, changed as tokenizer_config.json (if there) says. An error names the
/// files that were looked for, or what is wrong in one.
Result<TokenizerSpec> readFolderTokenizer(const std::string &folder);

} // namespace sinter

#endif // SINTER_FRONTEND_TOKENIZER_FOLDERTOKENIZER_H
