// SPDX-License-Identifier: Apache-2.0
// GPT-2 (Radford et al. 2019): learned positions, layer norms, GELU; its folders hold matrices as (in, out).
#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/GgufKeys.h"

#include <cmath>

namespace sinter {
namespace {

void describe(ModelConfig &config) {
  config.norm = NormKind::Layer;
  config.normBias = config.queryKeyValueBias = config.attentionOutputBias = config.mlpBias = true;
  config.fusedQueryKeyValue = true;
  config.gatedMlp = false;
  for (LayerConfig &layer : config.layers)
    layer.rope = -1;
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  config.vocabulary = keys.size("vocab_size", 50257);
  config.hidden = config.embedding = keys.size("n_embd|hidden_size", 768);
  config.heads = config.keyValueHeads = keys.size("n_head|num_attention_heads", 12);
  keys.check(config.hidden % config.heads == 0, "n_embd|hidden_size",
             fmt::format("a multiple of the {} attention heads", config.heads));
  config.headDim = config.hidden / config.heads;
  config.intermediate = keys.optionalSize("n_inner", std::nullopt).value_or(4 * config.hidden);
  config.contextLength = config.learnedPositions = keys.size("n_positions|max_position_embeddings", 1024);
  config.epsilon = keys.real("layer_norm_epsilon", 1e-5);
  config.activation = keys.activation("activation_function", "gelu_new");
  config.tied = keys.flag("tie_word_embeddings", true);
  config.bos = keys.optionalInteger("bos_token_id", 50256);
  config.eos = keys.ids("eos_token_id", {50256});
  keys.refuse("add_cross_attention", "false (a decoder alone)");
  double scale =
      keys.flag("scale_attn_weights", true) ? 1 / std::sqrt(static_cast<double>(config.headDim)) : 1;
  bool byLayer = keys.flag("scale_attn_by_inverse_layer_idx", false);
  int64_t layers = keys.size("n_layer|num_hidden_layers", 12);
  keys.check(layers <= 4096, "n_layer|num_hidden_layers", "at most 4096 layers");
  if (keys.failed())
    return;
  for (int64_t i = 0; i < layers; ++i)
    config.layers.push_back({.attentionScale = byLayer ? scale / static_cast<double>(i + 1) : scale});
  describe(config);
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  config.activation = Activation::GeluTanh;
  config.learnedPositions = config.contextLength;
  describe(config);
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) { return blocks.preNormLayer(number, x); }

constexpr ParameterNames tensors[] = {
    {"embedding", {"transformer.wte.weight"}, {"token_embd.weight"}},
    {"positions", {"transformer.wpe.weight"}, {"position_embd.weight"}},
    {"layers.*.attention_norm", {"transformer.h.*.ln_1.weight"}, {"blk.*.attn_norm.weight"}},
    {"layers.*.attention.query_key_value",
     {.tensor = "transformer.h.*.attn.c_attn.weight", .transposed = true},
     {"blk.*.attn_qkv.weight"}},
    {"layers.*.attention.output",
     {.tensor = "transformer.h.*.attn.c_proj.weight", .transposed = true},
     {"blk.*.attn_output.weight"}},
    {"layers.*.mlp_norm", {"transformer.h.*.ln_2.weight"}, {"blk.*.ffn_norm.weight"}},
    {"layers.*.mlp.up",
     {.tensor = "transformer.h.*.mlp.c_fc.weight", .transposed = true},
     {"blk.*.ffn_up.weight"}},
    {"layers.*.mlp.down",
     {.tensor = "transformer.h.*.mlp.c_proj.weight", .transposed = true},
     {"blk.*.ffn_down.weight"}},
    {"final_norm", {"transformer.ln_f.weight"}, {"output_norm.weight"}},
};
constexpr std::string_view names[] = {"gpt2"};

} // namespace

constinit const Architecture gpt2 = {"gpt2", names, names, readHuggingFace, readGguf, tensors, layer};

} // namespace sinter
