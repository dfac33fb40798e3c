// SPDX-License-Identifier: Apache-2.0
#include "runtime/generate/LibraryModel.h"
#include "runtime/generate/TokenizerCodec.h"

extern "C" const struct sinter_model sinter_model;

namespace sinter {

const struct sinter_model &libraryModel() { return ::sinter_model; }
Result<std::unique_ptr<Codec>> openLibraryCodec(const struct sinter_model &model) {
  return openTokenizerCodec(model);
}

} // namespace sinter
