// SPDX-License-Identifier: Apache-2.0
// OPT (Zhang et al. 2022, arXiv:2205.01068): learned positions from row 2 on, ReLU; norms before or behind.
// llama.cpp does not know it.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  config.vocabulary = keys.size("vocab_size", 50272, maxVocabulary);
  config.hidden = keys.size("hidden_size", 768, maxWidth);
  config.embedding = keys.optionalSize("word_embed_proj_dim", std::nullopt, maxWidth).value_or(config.hidden);
  config.intermediate = keys.size("ffn_dim", 3072, maxWidth);
  readHeads(keys, config, "num_attention_heads", 12, "hidden_size");
  config.contextLength = keys.size("max_position_embeddings", 2048);
  config.positionOffset = 2; // the first two rows were for padding
  config.learnedPositions = config.contextLength + config.positionOffset;
  config.norm = NormKind::Layer;
  config.epsilon = 1e-5;
  config.normWeight = config.normBias = keys.flag("layer_norm_elementwise_affine", true);
  config.normBefore = keys.flag("do_layer_norm_before", true);
  config.finalNorm = config.normBefore && !keys.flag("_remove_final_layer_norm", false);
  config.activation = keys.activation("activation_function", "relu");
  config.gatedMlp = false;
  config.queryKeyValueBias = config.attentionOutputBias = config.mlpBias = keys.flag("enable_bias", true);
  config.tied = keys.flag("tie_word_embeddings", true);
  config.bos = keys.optionalInteger("bos_token_id", 2);
  config.eos = keys.ids("eos_token_id", {2});
  readLayers(keys, config, "num_hidden_layers", 12);
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) {
  if (blocks.config.normBefore)
    return preNormLayer(blocks, number, x);
  x = blocks.norm(blocks.add(x, blocks.attention(x, number)), number, "attention_norm");
  return blocks.norm(blocks.add(x, blocks.mlp(x, number)), number, "mlp_norm");
}

constexpr ParameterNames tensors[] = {
    {"embedding", {"model.decoder.embed_tokens.weight"}, {}},
    {"embedding_projection", {"model.decoder.project_in.weight"}, {}},
    {"positions", {"model.decoder.embed_positions.weight"}, {}},
    {"layers.*.attention_norm", {"model.decoder.layers.*.self_attn_layer_norm.weight"}, {}},
    {"layers.*.attention.query", {"model.decoder.layers.*.self_attn.q_proj.weight"}, {}},
    {"layers.*.attention.key", {"model.decoder.layers.*.self_attn.k_proj.weight"}, {}},
    {"layers.*.attention.value", {"model.decoder.layers.*.self_attn.v_proj.weight"}, {}},
    {"layers.*.attention.output", {"model.decoder.layers.*.self_attn.out_proj.weight"}, {}},
    {"layers.*.mlp_norm", {"model.decoder.layers.*.final_layer_norm.weight"}, {}},
    {"layers.*.mlp.up", {"model.decoder.layers.*.fc1.weight"}, {}},
    {"layers.*.mlp.down", {"model.decoder.layers.*.fc2.weight"}, {}},
    {"final_norm", {"model.decoder.final_layer_norm.weight"}, {}},
    {"head_projection", {"model.decoder.project_out.weight"}, {}},
};
constexpr std::string_view types[] = {"opt"};

} // namespace

constinit const Architecture opt = {"opt",   "OPTForCausalLM", types,   {},   readHuggingFace,
                                    nullptr, nullptr,          tensors, layer};

} // namespace sinter
