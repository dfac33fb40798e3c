// SPDX-License-Identifier: Apache-2.0
// Which model and tokenizer the C interface opens; tests put others in their place.
#ifndef SINTER_RUNTIME_GENERATE_LIBRARYMODEL_H
#define SINTER_RUNTIME_GENERATE_LIBRARYMODEL_H

#include "runtime/generate/Codec.h"

namespace sinter {

const struct sinter_model &libraryModel();
Result<std::unique_ptr<Codec>> openLibraryCodec(const struct sinter_model &model);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_LIBRARYMODEL_H
