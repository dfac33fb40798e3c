// SPDX-License-Identifier: Apache-2.0
// The files that make a tokenizer in a Hugging Face folder.
#ifndef SINTER_RUNTIME_DATA_TOKENIZERFILES_H
#define SINTER_RUNTIME_DATA_TOKENIZERFILES_H

#include "runtime/Result.h"

#include <string>
#include <utility>
#include <vector>

namespace sinter::data {

using NamedTexts = std::vector<std::pair<std::string, std::string>>;

/// Names and contents of those that are there: tokenizer.json, tokenizer_config.json, ....
Result<NamedTexts> readTokenizerFiles(const std::string &folder);

} // namespace sinter::data

#endif // SINTER_RUNTIME_DATA_TOKENIZERFILES_H
