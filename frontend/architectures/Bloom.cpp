// SPDX-License-Identifier: Apache-2.0
// BLOOM (arXiv:2211.05100): ALiBi, a norm behind the embedding, Q, K and V of a head together in the file.
#include "frontend/architectures/Families.h"

#include <cmath>

namespace sinter {
namespace {

void describe(ModelConfig &config) {
  config.norm = NormKind::Layer;
  config.normBias = config.queryKeyValueBias = config.attentionOutputBias = config.mlpBias = true;
  config.fusedQueryKeyValue = config.embeddingNorm = true;
  config.gatedMlp = false;
  config.activation = Activation::GeluTanh;
  config.alibi = alibiSlopes(config.heads, 8);
  for (LayerConfig &layer : config.layers)
    layer.rope = -1;
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  config.vocabulary = keys.size("vocab_size", 250880, maxVocabulary);
  config.hidden = config.embedding = keys.size("n_embed|hidden_size", 64, maxWidth);
  config.intermediate = 4 * config.hidden;
  readHeads(keys, config, "n_head|num_attention_heads", 8, "n_embed|hidden_size");
  // ALiBi sets no limit; this is the length of the texts it was trained on.
  config.contextLength = keys.size("seq_length", 2048);
  config.epsilon = keys.real("layer_norm_epsilon", 1e-5);
  config.residualFromNorm = keys.flag("apply_residual_connection_post_layernorm", false);
  config.tied = keys.flag("tie_word_embeddings", true);
  config.bos = keys.optionalInteger("bos_token_id", 1);
  config.eos = keys.ids("eos_token_id", {2});
  readLayers(keys, config, "n_layer|num_hidden_layers", 2);
  describe(config);
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  describe(config);
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) {
  mlir::Value normed = blocks.norm(x, number, "attention_norm");
  x = blocks.add(blocks.config.residualFromNorm ? normed : x, blocks.attention(normed, number));
  normed = blocks.norm(x, number, "mlp_norm");
  return blocks.add(blocks.config.residualFromNorm ? normed : x, blocks.mlp(normed, number));
}

void writeHuggingFace(ConfigBuilder &config) {
  config.copyInteger("hidden_size", "embedding_length");
  config.copyInteger("n_layer", "block_count");
  config.copyInteger("n_head", "attention.head_count");
  config.copyReal("layer_norm_epsilon", "attention.layer_norm_epsilon");
}

constexpr ParameterNames tensors[] = {
    {"embedding", {"transformer.word_embeddings.weight"}, {"token_embd.weight"}},
    {"embedding_norm", {"transformer.word_embeddings_layernorm.weight"}, {"token_embd_norm.weight"}},
    {"layers.*.attention_norm", {"transformer.h.*.input_layernorm.weight"}, {"blk.*.attn_norm.weight"}},
    {"layers.*.attention.query_key_value",
     {.tensor = "transformer.h.*.self_attention.query_key_value.weight", .order = lm::RowOrder::qkv_by_head},
     {"blk.*.attn_qkv.weight"}},
    {"layers.*.attention.output",
     {"transformer.h.*.self_attention.dense.weight"},
     {"blk.*.attn_output.weight"}},
    {"layers.*.mlp_norm", {"transformer.h.*.post_attention_layernorm.weight"}, {"blk.*.ffn_norm.weight"}},
    {"layers.*.mlp.up", {"transformer.h.*.mlp.dense_h_to_4h.weight"}, {"blk.*.ffn_up.weight"}},
    {"layers.*.mlp.down", {"transformer.h.*.mlp.dense_4h_to_h.weight"}, {"blk.*.ffn_down.weight"}},
    {"final_norm", {"transformer.ln_f.weight"}, {"output_norm.weight"}},
};
constexpr std::string_view names[] = {"bloom"};

} // namespace

// Press, Smith and Lewis 2021, arXiv:2108.12409: a geometric sequence for the largest power of two of heads,
// and every second number of the sequence for twice as many for the others.
std::vector<float> alibiSlopes(int64_t heads, double maximum) {
  int64_t power = 1;
  while (2 * power <= heads)
    power *= 2;
  std::vector<float> slopes;
  for (int64_t i = 0; i < heads; ++i) {
    double exponent = i < power ? static_cast<double>(i + 1) / power : (2 * (i - power) + 1) / (2.0 * power);
    slopes.push_back(static_cast<float>(std::exp2(-maximum * exponent)));
  }
  return slopes;
}

constinit const Architecture bloom = {"bloom",  "BloomForCausalLM", names,   names, readHuggingFace,
                                      readGguf, writeHuggingFace,   tensors, layer};

} // namespace sinter
