// SPDX-License-Identifier: Apache-2.0
// Llama 1 to 3 (Touvron et al. 2023, arXiv:2302.13971) and what copies it: SmolLM2, TinyLlama.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 32000,
               .hidden = 4096,
               .intermediate = 11008,
               .layers = 32,
               .heads = 32,
               .context = 2048,
               .epsilon = 1e-6,
               .bos = 1,
               .eos = {2}});
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", false);
  config.mlpBias = keys.flag("mlp_bias", false);
  config.ropes = {readRope(keys, config, {})};
}

void writeHuggingFace(ConfigBuilder &config) {
  config.addRmsNormDecoder();
  config.addHeadSize();
  config.addFlag("attention_bias", "blk.0.attn_q.bias");
  config.addFlag("mlp_bias", "blk.0.ffn_gate.bias");
}

constexpr ParameterNames tensors[] = {permutedQuery, permutedKey};
constexpr std::string_view names[] = {"llama"};

} // namespace

mlir::Value preNormLayer(Blocks &blocks, int64_t number, mlir::Value x) {
  x = blocks.add(x, blocks.attention(blocks.norm(x, number, "attention_norm"), number));
  return blocks.add(x, blocks.mlp(blocks.norm(x, number, "mlp_norm"), number));
}

void readLlamaGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  config.ropes = {readGgufRope(keys, config)};
}

constinit const Architecture llama = {
    "llama",       "LlamaForCausalLM", names,   names,       readHuggingFace,
    readLlamaGguf, writeHuggingFace,   tensors, preNormLayer};

} // namespace sinter
