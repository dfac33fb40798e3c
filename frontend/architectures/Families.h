// SPDX-License-Identifier: Apache-2.0
// What several architectures have in common beyond the parts of Blocks.h, each defined in the file of the
// first that had it.
#ifndef SINTER_FRONTEND_ARCHITECTURES_FAMILIES_H
#define SINTER_FRONTEND_ARCHITECTURES_FAMILIES_H

#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/ExportConfig.h"
#include "frontend/GgufKeys.h"

namespace sinter {

/// x + attention(norm x), then x + mlp(norm x): the layer of most.
mlir::Value preNormLayer(Blocks &blocks, int64_t number, mlir::Value x);

/// llama.cpp turns neighbouring columns of some architectures instead of halves, and its converter permutes
/// Q and K to match.
inline constexpr ParameterNames permutedQuery = {
    "layers.*.attention.query",
    {"model.layers.*.self_attn.q_proj.weight"},
    {.tensor = "blk.*.attn_q.weight", .order = lm::RowOrder::interleaved_halves}};
inline constexpr ParameterNames permutedKey = {
    "layers.*.attention.key",
    {"model.layers.*.self_attn.k_proj.weight"},
    {.tensor = "blk.*.attn_k.weight", .order = lm::RowOrder::interleaved_halves}};

/// The metadata of Llama, which many need no more than: readGgufDecoder() and one rope set.
void readLlamaGguf(GgufKeys &keys, ModelConfig &config);

/// Where the configurations of Mistral and Mixtral differ.
struct MistralDefaults {
  double epsilon, theta;
  std::optional<int64_t> window;
};
void readMistral(ConfigKeys &keys, ModelConfig &config, const MistralDefaults &defaults);

/// Experts in the metadata of Mixtral and Qwen3-MoE; every layer has them.
void readGgufExperts(GgufKeys &keys, ModelConfig &config);

/// Of Qwen2; Qwen3 differs in a few.
DecoderDefaults qwenDefaults();

/// Gemma 2 and 3: what both read, their layer, and its names.
struct GemmaDefaults {
  int64_t vocabulary, context;
  std::optional<double> finalSoftcap;
};
void readGemma(ConfigKeys &keys, ModelConfig &config, const GemmaDefaults &defaults);
/// The largest model alone scales q.k by its width per head; llama.cpp tells it by its layers.
void readGemmaGguf(GgufKeys &keys, ModelConfig &config, size_t layersOfThe27B);
void writeGemma(ConfigBuilder &config, int64_t layersOfThe27B);
std::span<const ParameterNames> gemmaNames();
mlir::Value gemmaLayer(Blocks &blocks, int64_t number, mlir::Value x);

/// ALiBi's slope of each head (BLOOM, MPT); the smallest is 2^-maximum when heads are a power of two.
std::vector<float> alibiSlopes(int64_t heads, double maximum);

} // namespace sinter

#endif // SINTER_FRONTEND_ARCHITECTURES_FAMILIES_H
