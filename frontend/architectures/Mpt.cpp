// SPDX-License-Identifier: Apache-2.0
// MPT: ALiBi, norms and layers without biases, a plain MLP four times as wide.
#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/GgufKeys.h"

#include <cmath>

namespace sinter {
namespace {

void describe(ModelConfig &config) {
  config.norm = NormKind::Layer;
  config.fusedQueryKeyValue = true;
  config.gatedMlp = false;
  config.activation = Activation::Gelu;
  for (LayerConfig &layer : config.layers)
    layer.rope = -1;
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  config.vocabulary = keys.size("vocab_size", 50368);
  config.hidden = config.embedding = keys.size("d_model|hidden_size", 2048);
  config.intermediate = 4 * config.hidden; // transformers reads expansion_ratio and does not use it
  config.heads = config.keyValueHeads = keys.size("n_heads|num_attention_heads", 16);
  keys.check(config.hidden % config.heads == 0, "d_model|hidden_size",
             fmt::format("a multiple of the {} attention heads", config.heads));
  config.headDim = config.hidden / config.heads;
  config.contextLength = keys.size("max_seq_len", 2048);
  config.epsilon = keys.real("layer_norm_epsilon", 1e-5);
  config.tied = keys.flag("tie_word_embeddings", true);
  config.bos = keys.optionalInteger("bos_token_id", std::nullopt);
  config.eos = keys.ids("eos_token_id", {});
  ConfigKeys attention(keys.value("attn_config"));
  double limit = attention.optionalReal("clip_qkv", std::nullopt).value_or(0);
  attention.check(limit >= 0, "clip_qkv", "null or a limit of 0 (none) or more");
  if (limit > 0)
    config.clipQueryKeyValue = limit;
  double scale = 1 / std::sqrt(static_cast<double>(config.headDim));
  scale = attention.optionalReal("softmax_scale", std::nullopt).value_or(scale);
  if (Result<> status = attention.status(); !status)
    keys.fail(status.error());
  int64_t layers = keys.size("n_layers|num_hidden_layers", 24);
  keys.check(layers <= 4096, "n_layers|num_hidden_layers", "at most 4096 layers");
  if (keys.failed())
    return;
  config.layers.assign(layers, {.attentionScale = scale});
  // transformers uses ALiBi with a bias of at most 8, whatever alibi and alibi_bias_max say.
  config.alibi = alibiSlopes(config.heads, 8);
  describe(config);
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  double limit = keys.real("attention.clamp_kqv", 0.0);
  keys.check(limit >= 0, "attention.clamp_kqv", "a limit of 0 (none) or more", fmt::format("{}", limit));
  if (limit > 0)
    config.clipQueryKeyValue = limit;
  double maximum = keys.real("attention.max_alibi_bias", 8.0);
  if (maximum > 0)
    config.alibi = alibiSlopes(config.heads, maximum);
  if (keys.hasTensor("position_embd.weight"))
    config.learnedPositions = config.contextLength;
  if (keys.hasTensor("blk.0.attn_q_norm.weight") || keys.hasTensor("blk.0.ffn.act.scales"))
    keys.fail({fmt::format(
        "{}: expected an MPT model without norms of queries and scales of activations, found one "
        "with them",
        keys.file().path())});
  describe(config);
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) { return blocks.preNormLayer(number, x); }

constexpr ParameterNames tensors[] = {
    {"embedding", {"transformer.wte.weight"}, {"token_embd.weight"}},
    {"positions", {}, {"position_embd.weight"}},
    {"layers.*.attention_norm", {"transformer.blocks.*.norm_1.weight"}, {"blk.*.attn_norm.weight"}},
    {"layers.*.attention.query_key_value",
     {"transformer.blocks.*.attn.Wqkv.weight"},
     {"blk.*.attn_qkv.weight"}},
    {"layers.*.attention.output",
     {"transformer.blocks.*.attn.out_proj.weight"},
     {"blk.*.attn_output.weight"}},
    {"layers.*.mlp_norm", {"transformer.blocks.*.norm_2.weight"}, {"blk.*.ffn_norm.weight"}},
    {"layers.*.mlp.up", {"transformer.blocks.*.ffn.up_proj.weight"}, {"blk.*.ffn_up.weight"}},
    {"layers.*.mlp.down", {"transformer.blocks.*.ffn.down_proj.weight"}, {"blk.*.ffn_down.weight"}},
    {"final_norm", {"transformer.norm_f.weight"}, {"output_norm.weight"}},
};
constexpr std::string_view names[] = {"mpt"};

} // namespace

constinit const Architecture mpt = {"mpt", names, names, readHuggingFace, readGguf, tensors, layer};

} // namespace sinter
