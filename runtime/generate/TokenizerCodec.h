// SPDX-License-Identifier: Apache-2.0
// The model's own tokenizer as a Codec.
#ifndef SINTER_RUNTIME_GENERATE_TOKENIZERCODEC_H
#define SINTER_RUNTIME_GENERATE_TOKENIZERCODEC_H

#include "runtime/generate/Codec.h"

namespace sinter {

/// Opens the tables in `model.tokenizer`. Fails when they are damaged.
Result<std::unique_ptr<Codec>> openTokenizerCodec(const sinter_model &model);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_TOKENIZERCODEC_H
