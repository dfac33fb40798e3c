// SPDX-License-Identifier: Apache-2.0
// GPT-NeoX (Black et al. 2022, arXiv:2204.06745) and Pythia: attention and MLP side by side, part of each
// head rotated, Q, K and V of a head together in the file.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 50432,
               .hidden = 6144,
               .intermediate = 24576,
               .layers = 44,
               .heads = 64,
               .context = 2048,
               .epsilon = 1e-5,
               .bos = 0,
               .eos = {2},
               .activation = "gelu",
               .epsilonKey = "layer_norm_eps"});
  config.keyValueHeads = config.heads;
  config.headDim = config.hidden / config.heads;
  config.norm = NormKind::Layer;
  config.normBias = config.mlpBias = true;
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", true);
  config.fusedQueryKeyValue = true;
  config.gatedMlp = false;
  config.parallelResidual = keys.flag("use_parallel_residual", true);
  config.ropes = {
      readRope(keys, config, {.partial = 0.25, .thetaKey = "rotary_emb_base", .partialKey = "rotary_pct"})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readLlamaGguf(keys, config);
  config.gatedMlp = false;
  config.activation = Activation::Gelu;
  config.parallelResidual = keys.flag("use_parallel_residual", true);
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) {
  if (!blocks.config.parallelResidual)
    return preNormLayer(blocks, number, x);
  mlir::Value attended = blocks.attention(blocks.norm(x, number, "attention_norm"), number);
  mlir::Value fed = blocks.mlp(blocks.norm(x, number, "mlp_norm"), number);
  return blocks.add(blocks.add(fed, attended), x);
}

void writeHuggingFace(ConfigBuilder &config) {
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

constexpr ParameterNames tensors[] = {
    {"embedding", {"gpt_neox.embed_in.weight"}, {"token_embd.weight"}},
    {"layers.*.attention_norm", {"gpt_neox.layers.*.input_layernorm.weight"}, {"blk.*.attn_norm.weight"}},
    {"layers.*.attention.query_key_value",
     {.tensor = "gpt_neox.layers.*.attention.query_key_value.weight", .order = lm::RowOrder::qkv_by_head},
     {"blk.*.attn_qkv.weight"}},
    {"layers.*.attention.output", {"gpt_neox.layers.*.attention.dense.weight"}, {"blk.*.attn_output.weight"}},
    {"layers.*.mlp_norm", {"gpt_neox.layers.*.post_attention_layernorm.weight"}, {"blk.*.ffn_norm.weight"}},
    {"layers.*.mlp.up", {"gpt_neox.layers.*.mlp.dense_h_to_4h.weight"}, {"blk.*.ffn_up.weight"}},
    {"layers.*.mlp.down", {"gpt_neox.layers.*.mlp.dense_4h_to_h.weight"}, {"blk.*.ffn_down.weight"}},
    {"final_norm", {"gpt_neox.final_layer_norm.weight"}, {"output_norm.weight"}},
    {"head", {"embed_out.weight|lm_head.weight"}, {"output.weight"}},
};
constexpr std::string_view types[] = {"gpt_neox"};
constexpr std::string_view names[] = {"gptneox"};

} // namespace

constinit const Architecture gptNeoX = {"gpt_neox", "GPTNeoXForCausalLM", types,   names, readHuggingFace,
                                        readGguf,   writeHuggingFace,     tensors, layer};

} // namespace sinter
