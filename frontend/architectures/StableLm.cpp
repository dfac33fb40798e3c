// SPDX-License-Identifier: Apache-2.0
// StableLM (arXiv:2402.17834): Llama with layer norms, part of each head rotated, and a norm with a weight of
// its own for every head in some.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 50304,
               .hidden = 2560,
               .intermediate = 6912,
               .layers = 32,
               .heads = 32,
               .keyValueHeads = 32,
               .context = 4096,
               .epsilon = 1e-5,
               .bos = 0,
               .eos = {0},
               .epsilonKey = "layer_norm_eps"});
  config.headDim = config.hidden / config.heads;
  config.norm = NormKind::Layer;
  config.normBias = true;
  config.queryKeyValueBias = keys.flag("use_qkv_bias", false);
  config.queryKeyNorm = keys.flag("qk_layernorm", false) ? QueryKeyNorm::PerHead : QueryKeyNorm::None;
  config.parallelResidual = keys.flag("use_parallel_residual", false);
  config.ropes = {readRope(keys, config, {.partial = 0.25})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readLlamaGguf(keys, config);
  config.queryKeyNorm =
      keys.hasTensor("blk.0.attn_q_norm.weight") ? QueryKeyNorm::PerHead : QueryKeyNorm::None;
  // As llama.cpp tells it: with both parts behind one norm there is no second one.
  config.parallelResidual = !keys.hasTensor("blk.0.ffn_norm.weight");
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) {
  if (!blocks.config.parallelResidual)
    return preNormLayer(blocks, number, x);
  mlir::Value normed = blocks.norm(x, number, "attention_norm");
  return blocks.add(blocks.add(x, blocks.attention(normed, number)), blocks.mlp(normed, number));
}

void writeHuggingFace(ConfigBuilder &config) {
  config.addDecoder();
  config.copyReal("layer_norm_eps", "attention.layer_norm_epsilon");
  config.json.key("hidden_act").value("silu");
  config.addRope();
  config.addPartialRotary("partial_rotary_factor");
  config.json.key("use_qkv_bias").value(config.hasTensor("blk.0.attn_q.bias"));
  config.json.key("use_parallel_residual").value(!config.hasTensor("blk.0.ffn_norm.weight"));
  config.json.key("qk_layernorm").value(config.hasTensor("blk.0.attn_q_norm.weight"));
}

constexpr ParameterNames tensors[] = {
    {"layers.*.attention.query_norm",
     {"model.layers.*.self_attn.q_layernorm.norms.#.weight"},
     {"blk.*.attn_q_norm.weight"}},
    {"layers.*.attention.key_norm",
     {"model.layers.*.self_attn.k_layernorm.norms.#.weight"},
     {"blk.*.attn_k_norm.weight"}},
};
constexpr std::string_view names[] = {"stablelm"};

} // namespace

constinit const Architecture stableLm = {"stablelm", "StableLmForCausalLM", names,   names, readHuggingFace,
                                         readGguf,   writeHuggingFace,      tensors, layer};

} // namespace sinter
