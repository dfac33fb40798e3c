// SPDX-License-Identifier: Apache-2.0
// What one file of architectures/ says: how to read and write its configuration, what its tensors are called,
// and its layer.
#ifndef SINTER_FRONTEND_ARCHITECTURE_H
#define SINTER_FRONTEND_ARCHITECTURE_H

#include "dialects/lm/LmDialect.h"
#include "frontend/Config.h"

#include <span>
#include <string_view>

namespace sinter {

class Blocks;
class ConfigBuilder;
class ConfigKeys;
class GgufKeys;

/// Which rows of a fused tensor a parameter is.
enum class Part { Whole, Gate, Up };

/// Where a parameter is in one kind of file.
struct Spelling {
  /// With `*` for the layer and `#` for the expert; alternatives are separated by `|`. Empty: the file has
  /// none.
  std::string_view tensor;
  bool transposed = false;
  Part part = Part::Whole;
  lm::RowOrder order = lm::RowOrder::plain;
};

/// A weight's name in the graph and in the files. Biases follow: "X.bias" is where "X" is, ".bias" for
/// ".weight".
struct ParameterNames {
  std::string_view parameter; ///< "layers.*.attention.query"
  Spelling huggingFace;       ///< with the base model's prefix
  Spelling gguf;
};

struct Architecture {
  std::string_view name;      ///< as config.json's model_type
  std::string_view className; ///< of transformers
  std::span<const std::string_view> modelTypes;
  std::span<const std::string_view> ggufNames; ///< general.architecture; empty: llama.cpp does not know it
  void (*readHuggingFace)(ConfigKeys &keys, ModelConfig &config);
  void (*readGguf)(GgufKeys &keys, ModelConfig &config);
  /// Adds the keys of config.json, from the metadata of a GGUF file; null where no GGUF file has this
  /// architecture.
  void (*writeHuggingFace)(ConfigBuilder &config);
  /// Names that differ from the common ones (llamaNames()); looked up first.
  std::span<const ParameterNames> tensors;
  /// One layer: from the residual stream to the residual stream.
  mlir::Value (*layer)(Blocks &blocks, int64_t number, mlir::Value x);
  /// 1: folders hold the weights of norms less 1, as Gemma's do; GGUF files hold what is multiplied.
  double normOffset = 0;
};

/// The names most architectures share: those of Llama.
std::span<const ParameterNames> llamaNames();

/// The names of a parameter, "layers.*.mlp.gate"; null if the architecture has no such one.
const ParameterNames *findNames(const Architecture &architecture, std::string_view parameter);

/// All architectures.
std::span<const Architecture *const> architectures();
/// By model_type or general.architecture; null if there is none.
const Architecture *findArchitecture(std::string_view modelType);
const Architecture *findGgufArchitecture(std::string_view name);
/// Of a GGUF file, or an error that names those that are known.
Result<const Architecture *> architectureOf(const Gguf &file);

extern const Architecture llama, mistral, mixtral, qwen2, qwen3, qwen3Moe, gemma2, gemma3, phi3, gpt2,
    gptNeoX, olmo2, smolLm3, stableLm, starCoder2, bloom, mpt, opt;

} // namespace sinter

#endif // SINTER_FRONTEND_ARCHITECTURE_H
