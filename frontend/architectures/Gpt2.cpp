// SPDX-License-Identifier: Apache-2.0
// GPT-2 (Radford et al. 2019): learned positions, layer norms, GELU; its folders hold matrices as (in, out).
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void describe(ModelConfig &config) {
  config.norm = NormKind::Layer;
  config.normBias = config.queryKeyValueBias = config.attentionOutputBias = config.mlpBias = true;
  config.fusedQueryKeyValue = true;
  config.gatedMlp = false;
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  config.vocabulary = keys.size("vocab_size", 50257, maxVocabulary);
  config.hidden = config.embedding = keys.size("n_embd|hidden_size", 768, maxWidth);
  readHeads(keys, config, "n_head|num_attention_heads", 12, "n_embd|hidden_size");
  config.intermediate = keys.optionalSize("n_inner", std::nullopt, maxWidth).value_or(4 * config.hidden);
  config.contextLength = config.learnedPositions = keys.size("n_positions|max_position_embeddings", 1024);
  config.epsilon = keys.real("layer_norm_epsilon", 1e-5);
  config.activation = keys.activation("activation_function", "gelu_new");
  config.tied = keys.flag("tie_word_embeddings", true);
  config.bos = keys.optionalInteger("bos_token_id", 50256);
  config.eos = keys.ids("eos_token_id", {50256});
  keys.refuse("add_cross_attention", "false (a decoder alone)");
  readLayers(keys, config, "n_layer|num_hidden_layers", 12);
  bool scaled = keys.flag("scale_attn_weights", true);
  bool byLayer = keys.flag("scale_attn_by_inverse_layer_idx", false);
  for (size_t i = 0; i < config.layers.size(); ++i) {
    double &scale = config.layers[i].attentionScale;
    scale = (scaled ? scale : 1) / (byLayer ? static_cast<double>(i + 1) : 1);
  }
  describe(config);
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  config.activation = Activation::GeluTanh;
  config.learnedPositions = config.contextLength;
  for (LayerConfig &layer : config.layers)
    layer.rope = -1;
  describe(config);
}

void writeHuggingFace(ConfigBuilder &config) {
  config.copyInteger("n_embd", "embedding_length");
  config.copyInteger("n_inner", "feed_forward_length");
  config.copyInteger("n_layer", "block_count");
  config.copyInteger("n_head", "attention.head_count");
  config.copyInteger("n_positions", "context_length");
  config.copyReal("layer_norm_epsilon", "attention.layer_norm_epsilon");
  config.json.key("activation_function").value("gelu_new");
}

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

constinit const Architecture gpt2 = {"gpt2",   "GPT2LMHeadModel", names,   names,       readHuggingFace,
                                     readGguf, writeHuggingFace,  tensors, preNormLayer};

} // namespace sinter
