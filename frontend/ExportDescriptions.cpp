// SPDX-License-Identifier: Apache-2.0
// How each architecture describes itself in config.json. What a GGUF file does not say is what llama.cpp and
// the published models take for granted.
#include "frontend/ExportConfig.h"

namespace sinter {
namespace {

void addRmsNormDecoder(ConfigBuilder &config, std::string_view activation) {
  config.addDecoder();
  config.copyReal("rms_norm_eps", "attention.layer_norm_rms_epsilon");
  config.json.key("hidden_act").value(activation);
  config.addRope();
}

void addHeadSize(ConfigBuilder &config) { config.json.key("head_dim").value(config.headSize()); }

void addGemma(ConfigBuilder &config, int64_t layersOfThe27B) {
  config.addDecoder();
  addHeadSize(config);
  config.copyReal("rms_norm_eps", "attention.layer_norm_rms_epsilon");
  config.json.key("hidden_activation").value("gelu_pytorch_tanh");
  config.addRope();
  config.copyInteger("sliding_window", "attention.sliding_window");
  config.json.key("attention_bias").value(false);
  // The largest model alone scales by its width per head; llama.cpp tells it by its depth, too.
  bool is27B = config.integer("block_count") == layersOfThe27B;
  int64_t heads = std::max<int64_t>(config.integer("attention.head_count"), 1);
  config.json.key("query_pre_attn_scalar")
      .value(is27B ? config.integer("embedding_length") / heads : config.headSize());
  for (const char *key : {"attn_logit_softcapping", "final_logit_softcapping"}) {
    if (config.has(key))
      config.copyReal(key, key);
    else
      config.json.key(key).null();
  }
}

/// Every `period`-th layer attends to all tokens, the others to a window.
void addLayerTypes(ConfigBuilder &config, int64_t period) {
  config.json.key("layer_types").beginArray();
  for (int64_t layer = 0, count = config.integer("block_count"); layer < count; ++layer)
    config.json.value((layer + 1) % period ? "sliding_attention" : "full_attention");
  config.json.endArray();
}

} // namespace

void describeLlama(ConfigBuilder &config) {
  addRmsNormDecoder(config, "silu");
  addHeadSize(config);
  config.json.key("attention_bias").value(config.hasTensor("blk.0.attn_q.bias"));
  config.json.key("mlp_bias").value(config.hasTensor("blk.0.ffn_gate.bias"));
}

void describeMixtral(ConfigBuilder &config) {
  addRmsNormDecoder(config, "silu");
  addHeadSize(config);
  config.copyInteger("num_local_experts", "expert_count");
  config.copyInteger("num_experts_per_tok", "expert_used_count");
  config.json.key("sliding_window").null();
}

void describeSmolLm3(ConfigBuilder &config) {
  addRmsNormDecoder(config, "silu");
  config.json.key("no_rope_layer_interval").value(4).key("use_sliding_window").value(false);
  config.json.key("attention_bias").value(config.hasTensor("blk.0.attn_q.bias"));
  config.json.key("mlp_bias").value(config.hasTensor("blk.0.ffn_gate.bias"));
}

void describeQwen2(ConfigBuilder &config) {
  addRmsNormDecoder(config, "silu");
  config.json.key("use_sliding_window").value(false);
}

void describeQwen3(ConfigBuilder &config) {
  addRmsNormDecoder(config, "silu");
  addHeadSize(config);
  config.json.key("attention_bias").value(config.hasTensor("blk.0.attn_q.bias"));
  config.json.key("use_sliding_window").value(false);
}

void describeQwen3Moe(ConfigBuilder &config) {
  describeQwen3(config);
  config.copyInteger("num_experts", "expert_count");
  config.copyInteger("num_experts_per_tok", "expert_used_count");
  config.copyInteger("moe_intermediate_size", "expert_feed_forward_length");
  config.json.key("norm_topk_prob").value(true).key("decoder_sparse_step").value(1);
  config.json.key("mlp_only_layers").beginArray().endArray();
}

void describeGemma2(ConfigBuilder &config) {
  addGemma(config, 46);
  addLayerTypes(config, 2);
}

void describeGemma3(ConfigBuilder &config) {
  addGemma(config, 62);
  addLayerTypes(config, 6);
  if (config.has("rope.freq_base_swa"))
    config.copyReal("rope_local_base_freq", "rope.freq_base_swa");
  else
    config.json.key("rope_local_base_freq").value(10000.0);
}

void describeOlmo2(ConfigBuilder &config) {
  addRmsNormDecoder(config, "silu");
  config.json.key("attention_bias").value(config.hasTensor("blk.0.attn_q.bias"));
}

void describePhi3(ConfigBuilder &config) {
  addRmsNormDecoder(config, "silu");
  config.addPartialRotary("partial_rotary_factor");
  if (int64_t window = config.integer("attention.sliding_window", 0); window > 0)
    config.json.key("sliding_window").value(window);
}

void describeStableLm(ConfigBuilder &config) {
  config.addDecoder();
  config.copyReal("layer_norm_eps", "attention.layer_norm_epsilon");
  config.json.key("hidden_act").value("silu");
  config.addRope();
  config.addPartialRotary("partial_rotary_factor");
  config.json.key("use_qkv_bias").value(config.hasTensor("blk.0.attn_q.bias"));
  config.json.key("use_parallel_residual").value(!config.hasTensor("blk.0.ffn_norm.weight"));
  config.json.key("qk_layernorm").value(config.hasTensor("blk.0.attn_q_norm.weight"));
}

void describeStarcoder2(ConfigBuilder &config) {
  config.addDecoder();
  config.copyReal("norm_epsilon", "attention.layer_norm_epsilon");
  config.json.key("hidden_act").value("gelu_pytorch_tanh");
  config.addRope();
  config.json.key("use_bias").value(config.hasTensor("blk.0.attn_q.bias"));
  int64_t window = config.integer("attention.sliding_window", 0);
  config.json.key("sliding_window");
  window > 0 ? config.json.value(window) : config.json.null();
}

void describeGpt2(ConfigBuilder &config) {
  config.copyInteger("n_embd", "embedding_length");
  config.copyInteger("n_inner", "feed_forward_length");
  config.copyInteger("n_layer", "block_count");
  config.copyInteger("n_head", "attention.head_count");
  config.copyInteger("n_positions", "context_length");
  config.copyReal("layer_norm_epsilon", "attention.layer_norm_epsilon");
  config.json.key("activation_function").value("gelu_new");
}

void describeGptNeoX(ConfigBuilder &config) {
  config.copyInteger("hidden_size", "embedding_length");
  config.copyInteger("intermediate_size", "feed_forward_length");
  config.copyInteger("num_hidden_layers", "block_count");
  config.copyInteger("num_attention_heads", "attention.head_count");
  config.copyInteger("max_position_embeddings", "context_length");
  config.copyReal("layer_norm_eps", "attention.layer_norm_epsilon");
  config.json.key("hidden_act").value("gelu");
  config.copyRealIfPresent("rotary_emb_base", "rope.freq_base");
  config.addPartialRotary("rotary_pct");
  Result<bool> parallel = config.gguf.getOr<bool>("gptneox.use_parallel_residual", true);
  if (!parallel && !config.error)
    config.error = parallel.error();
  config.json.key("use_parallel_residual").value(parallel.value_or(true));
}

void describeBloom(ConfigBuilder &config) {
  config.copyInteger("hidden_size", "embedding_length");
  config.copyInteger("n_layer", "block_count");
  config.copyInteger("n_head", "attention.head_count");
  config.copyReal("layer_norm_epsilon", "attention.layer_norm_epsilon");
}

void describeMpt(ConfigBuilder &config) {
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

} // namespace sinter
