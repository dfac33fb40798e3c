// SPDX-License-Identifier: Apache-2.0
// MPT: ALiBi, norms and layers without biases, a plain MLP four times as wide.
#include "frontend/architectures/Families.h"

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
  config.vocabulary = keys.size("vocab_size", 50368, maxVocabulary);
  config.hidden = config.embedding = keys.size("d_model|hidden_size", 2048, maxWidth);
  config.intermediate = 4 * config.hidden; // transformers reads expansion_ratio and does not use it
  readHeads(keys, config, "n_heads|num_attention_heads", 16, "d_model|hidden_size");
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
  std::optional<double> scale = attention.optionalReal("softmax_scale", std::nullopt);
  if (Result<> status = attention.status(); !status)
    keys.fail(status.error());
  readLayers(keys, config, "n_layers|num_hidden_layers", 24);
  for (LayerConfig &layer : config.layers)
    layer.attentionScale = scale.value_or(layer.attentionScale);
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

void writeHuggingFace(ConfigBuilder &config) {
  config.copyInteger("d_model", "embedding_length");
  config.copyInteger("n_layers", "block_count");
  config.copyInteger("n_heads", "attention.head_count");
  config.copyInteger("max_seq_len", "context_length");
  config.copyReal("layer_norm_epsilon", "attention.layer_norm_epsilon");
  int64_t width = std::max<int64_t>(config.integer("embedding_length"), 1);
  config.json.key("expansion_ratio").value(config.integer("feed_forward_length") / width);
  config.json.key("attn_config").beginObject().key("alibi").value(config.has("attention.max_alibi_bias"));
  // A float in the file, an integer in transformers.
  Result<double> bias = config.gguf.getOr<double>("mpt.attention.max_alibi_bias", 8);
  if (!bias && !config.error)
    config.error = bias.error();
  config.json.key("alibi_bias_max").value(static_cast<int64_t>(bias.value_or(8)));
  config.copyRealIfPresent("clip_qkv", "attention.clamp_kqv");
  config.json.endObject();
}

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

constinit const Architecture mpt = {"mpt",    "MptForCausalLM", names,   names,       readHuggingFace,
                                    readGguf, writeHuggingFace, tensors, preNormLayer};

} // namespace sinter
