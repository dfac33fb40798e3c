// SPDX-License-Identifier: Apache-2.0
// `sinter export`: a GGUF file as a Hugging Face folder that transformers loads.
#ifndef SINTER_FRONTEND_EXPORT_H
#define SINTER_FRONTEND_EXPORT_H

#include "runtime/Result.h"
#include "runtime/files/Gguf.h"

#include <string>

namespace sinter {

/// Writes `gguf`, dequantised to F32, into `folder`: config.json, generation_config.json, model.safetensors
/// under transformers' names (Llama's Q and K rows back in its order, Gemma's norms without the 1 that
/// llama.cpp adds), tokenizer.json, tokenizer_config.json and the chat template. The folder is created, or
/// exists and is empty; when anything fails, nothing is left in it. Errors: an architecture, tokenizer or
/// tensor that has no counterpart (named), missing or wrong metadata, weights that are NaN or infinite, and
/// what AtomicFile says.
Result<> exportToHuggingFace(const Gguf &gguf, const std::string &folder);

} // namespace sinter

#endif // SINTER_FRONTEND_EXPORT_H
