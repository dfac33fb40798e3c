// SPDX-License-Identifier: Apache-2.0
// What `sinter export` knows of an architecture: its names in both worlds and how llama.cpp rearranged its
// tensors. Private to the Export*.cpp files.
#ifndef SINTER_FRONTEND_EXPORTARCHITECTURE_H
#define SINTER_FRONTEND_EXPORTARCHITECTURE_H

#include "frontend/Weights.h"
#include "frontend/tokenizer/TokenizerSpec.h"
#include "runtime/Result.h"
#include "runtime/files/Gguf.h"
#include "runtime/files/JsonWriter.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sinter {

/// A tensor's name in a GGUF file and in transformers, without ".weight" or ".bias"; '#' stands for the
/// number of the layer, '@' for that of the expert or head where a GGUF file holds all of a layer in one
/// tensor.
struct TensorName {
  std::string_view gguf, transformers;
};

class ConfigBuilder;

struct ExportArchitecture {
  std::string_view gguf; // general.architecture
  std::string_view modelType, className;
  std::span<const TensorName> names;
  void (*describe)(ConfigBuilder &config); // adds the keys of config.json
  bool permutedHeads = false;              // rows of Q and K in the order of interleaved RoPE
  bool shiftedNorms = false;               // 1 was added to the weights of norms
  bool mergedHeads = false;                // transformers holds Q, K and V head by head in one matrix
  bool transposed = false;                 // transformers holds matrices input first (GPT-2's Conv1D)
};

/// The architecture of `gguf`, or an error that names those that are known.
Result<const ExportArchitecture *> exportArchitecture(const Gguf &gguf);

/// One tensor of the exported file: rows of one matrix or numbers of one vector, gathered, decoded and
/// shifted.
struct ExportedTensor {
  std::string name;
  std::vector<int64_t> shape;
  const Weight *weight;
  std::vector<int64_t> rows; // of the matrix, or numbers of the vector, in the exported order
  float added = 0;           // to each number
  bool transposed = false;   // the two dimensions change places
};

/// All tensors, in the order of the file. Fails on one that has no counterpart.
Result<std::vector<ExportedTensor>> planTensors(const Gguf &gguf, const WeightSource &source,
                                                const ExportArchitecture &architecture);

/// The text of config.json and generation_config.json.
Result<std::string> makeConfig(const Gguf &gguf, const ExportArchitecture &architecture);
Result<std::string> makeGenerationConfig(const Gguf &gguf);

/// The text of tokenizer.json and tokenizer_config.json, of a tokenizer that readGgufTokenizer() gave.
std::string makeTokenizer(const TokenizerSpec &spec);
Result<std::string> makeTokenizerConfig(const Gguf &gguf, const TokenizerSpec &spec);

} // namespace sinter

#endif // SINTER_FRONTEND_EXPORTARCHITECTURE_H
