// SPDX-License-Identifier: Apache-2.0
// What an executable carries beside kernels and weights: the tokenizer's tables and the metadata.
#ifndef SINTER_COMPILER_MODELDATA_H
#define SINTER_COMPILER_MODELDATA_H

#include "frontend/Model.h"
#include "frontend/tokenizer/TokenizerSpec.h"

namespace sinter {

/// The tokenizer of a GGUF file's metadata, or of a folder's files. A model without a tokenizer is an error
/// that names the files looked for.
Result<TokenizerSpec> readTokenizer(const Model &model);

/// The model's own Jinja template: chat_template.jinja, tokenizer_config.json or tokenizer.chat_template;
/// empty where it has none.
Result<std::string> readChatTemplate(const Model &model);

/// A tokenizer as a product carries it: its tables, and what the metadata says of it.
struct ModelTokenizer {
  TokenizerSpec spec;
  std::vector<uint8_t> tables;
  std::string chatTemplate;
};
Result<ModelTokenizer> readModelTokenizer(const Model &model, unsigned threads);

/// docs/metadata.md.
/// `weightsFile` is empty where the weights are part of the product, `emulatorFolder` where there is no code
/// for GPUs.
std::string makeMetadata(const Model &model, const TokenizerSpec &tokenizer, const std::string &chatTemplate,
                         const std::string &weightsFile, const std::string &emulatorFolder);

} // namespace sinter

#endif // SINTER_COMPILER_MODELDATA_H
