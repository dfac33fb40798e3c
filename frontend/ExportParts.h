// SPDX-License-Identifier: Apache-2.0
// The parts of `sinter export`: which tensors and texts the folder gets. Private to the Export*.cpp files.
#ifndef SINTER_FRONTEND_EXPORTPARTS_H
#define SINTER_FRONTEND_EXPORTPARTS_H

#include "frontend/Architecture.h"
#include "frontend/Weights.h"
#include "frontend/tokenizer/TokenizerSpec.h"
#include "runtime/Result.h"
#include "runtime/files/Gguf.h"

#include <string>
#include <vector>

namespace sinter {

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
                                                const Architecture &architecture);

/// The text of config.json and generation_config.json.
Result<std::string> makeConfig(const Gguf &gguf, const Architecture &architecture);
Result<std::string> makeGenerationConfig(const Gguf &gguf);

/// The text of tokenizer.json and tokenizer_config.json, of a tokenizer that readGgufTokenizer() gave.
std::string makeTokenizer(const TokenizerSpec &spec);
Result<std::string> makeTokenizerConfig(const Gguf &gguf, const TokenizerSpec &spec);

} // namespace sinter

#endif // SINTER_FRONTEND_EXPORTPARTS_H
