// SPDX-License-Identifier: Apache-2.0
// Gemma 2 (arXiv:2408.00118): norms before and behind both parts, soft caps, windows in every other layer.
#include "frontend/architectures/Families.h"

#include <cmath>

namespace sinter {
namespace {

void setScale(ModelConfig &config, double columns) {
  for (LayerConfig &layer : config.layers)
    layer.attentionScale = 1 / std::sqrt(columns);
}

// transformers rounds the factor to the type of the weights; here all arithmetic is f32.
void setEmbeddingScale(ModelConfig &config) {
  config.embeddingScale = static_cast<float>(std::sqrt(static_cast<double>(config.hidden)));
}

std::vector<bool> everyOther(size_t layers) {
  std::vector<bool> sliding(layers);
  for (size_t i = 0; i < layers; ++i)
    sliding[i] = i % 2 == 0;
  return sliding;
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readGemma(keys, config, {.vocabulary = 256000, .context = 8192, .finalSoftcap = 30});
  config.attentionSoftcap = keys.optionalReal("attn_logit_softcapping", 50.0);
  keys.check(config.attentionSoftcap.value_or(1) > 0, "attn_logit_softcapping",
             "a number greater than 0 or null");
  std::optional<std::vector<bool>> sliding = keys.slidingLayers(config.layers.size());
  setWindows(config, sliding ? *sliding : everyOther(config.layers.size()),
             keys.optionalSize("sliding_window", 4096));
  config.ropes = {readRope(keys, config, {})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGemmaGguf(keys, config, 46);
  config.attentionSoftcap = keys.real("attn_logit_softcapping", 50.0);
  config.finalSoftcap = keys.real("final_logit_softcapping", 30.0);
  setWindows(config, everyOther(config.layers.size()), keys.size("attention.sliding_window", 4096));
}

void writeHuggingFace(ConfigBuilder &config) {
  writeGemma(config, 46);
  config.addLayerTypes(2);
}

constexpr std::string_view names[] = {"gemma2"};

} // namespace

void readGemma(ConfigKeys &keys, ModelConfig &config, const GemmaDefaults &defaults) {
  readDecoder(keys, config,
              {.vocabulary = defaults.vocabulary,
               .hidden = 2304,
               .intermediate = 9216,
               .layers = 26,
               .heads = 8,
               .keyValueHeads = 4,
               .headDim = 256,
               .context = defaults.context,
               .epsilon = 1e-6,
               .tied = true,
               .bos = 2,
               .eos = {1},
               .activation = "gelu_pytorch_tanh",
               .activationKey = "hidden_activation"});
  setEmbeddingScale(config);
  setScale(config, keys.real("query_pre_attn_scalar", 256));
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", false);
  config.finalSoftcap = keys.optionalReal("final_logit_softcapping", defaults.finalSoftcap);
  keys.check(config.finalSoftcap.value_or(1) > 0, "final_logit_softcapping",
             "a number greater than 0 or null");
  keys.refuse("use_bidirectional_attention", "false or null (causal attention)");
}

void readGemmaGguf(GgufKeys &keys, ModelConfig &config, size_t layersOfThe27B) {
  readLlamaGguf(keys, config);
  config.activation = Activation::GeluTanh;
  setEmbeddingScale(config);
  bool is27B = config.layers.size() == layersOfThe27B;
  setScale(config, is27B ? static_cast<double>(config.hidden) / config.heads : config.headDim);
}

void writeGemma(ConfigBuilder &config, int64_t layersOfThe27B) {
  config.addDecoder();
  config.addHeadSize();
  config.copyReal("rms_norm_eps", "attention.layer_norm_rms_epsilon");
  config.json.key("hidden_activation").value("gelu_pytorch_tanh");
  config.addRope();
  config.copyInteger("sliding_window", "attention.sliding_window");
  config.json.key("attention_bias").value(false);
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

mlir::Value gemmaLayer(Blocks &blocks, int64_t number, mlir::Value x) {
  mlir::Value attended = blocks.attention(blocks.norm(x, number, "attention_norm"), number);
  x = blocks.add(x, blocks.norm(attended, number, "attention_post_norm"));
  mlir::Value fed = blocks.mlp(blocks.norm(x, number, "mlp_norm"), number);
  return blocks.add(x, blocks.norm(fed, number, "mlp_post_norm"));
}

std::span<const ParameterNames> gemmaNames() {
  static constexpr ParameterNames tensors[] = {
      {"layers.*.attention_post_norm",
       {"model.layers.*.post_attention_layernorm.weight"},
       {"blk.*.post_attention_norm.weight"}},
      {"layers.*.mlp_norm", {"model.layers.*.pre_feedforward_layernorm.weight"}, {"blk.*.ffn_norm.weight"}},
      {"layers.*.mlp_post_norm",
       {"model.layers.*.post_feedforward_layernorm.weight"},
       {"blk.*.post_ffw_norm.weight"}},
  };
  return tensors;
}

const Architecture gemma2 = {.name = "gemma2",
                             .className = "Gemma2ForCausalLM",
                             .modelTypes = names,
                             .ggufNames = names,
                             .readHuggingFace = readHuggingFace,
                             .readGguf = readGguf,
                             .writeHuggingFace = writeHuggingFace,
                             .tensors = gemmaNames(),
                             .layer = gemmaLayer,
                             .normOffset = 1};

} // namespace sinter
