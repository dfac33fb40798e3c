// SPDX-License-Identifier: Apache-2.0
// What the compiler wrote about a model beside its kernels: end tokens, sampling defaults, the chat template
// and figures to show. docs/metadata.md lists the keys.
#ifndef SINTER_RUNTIME_GENERATE_METADATA_H
#define SINTER_RUNTIME_GENERATE_METADATA_H

#include "runtime/Result.h"
#include "runtime/generate/Sampler.h"
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sinter {

struct Metadata {
  std::string name, architecture, compiler, weightsFile, emulatorFolder;
  uint64_t parameters = 0;
  std::vector<std::pair<std::string, uint64_t>> dtypes; ///< type of weights, bytes of the image
  std::optional<int32_t> bos;
  std::vector<int32_t> eos; ///< any of them ends the text
  SamplerOptions sampling;  ///< llama.cpp's defaults, changed where the model says so
  std::string chatTemplate; ///< empty: none
  /// What a chat template may ask for: "bos_token" and its text, and so on.
  std::vector<std::pair<std::string, std::string>> specialTokens;
};

/// Fails on malformed JSON and on a key of the wrong type, naming it.
Result<Metadata> parseMetadata(std::string_view json);

} // namespace sinter

#endif // SINTER_RUNTIME_GENERATE_METADATA_H
