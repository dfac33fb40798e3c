// SPDX-License-Identifier: Apache-2.0
// Gemma 2 (arXiv:2408.00118): norms before and behind both parts, soft caps, windows in every other layer.
#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/GgufKeys.h"

#include <cmath>

namespace sinter {
namespace {

void describe(ModelConfig &config) {
  config.activation = Activation::GeluTanh;
  // transformers rounds the factor to the type of the weights; here all arithmetic is f32.
  config.embeddingScale = static_cast<float>(std::sqrt(static_cast<double>(config.hidden)));
}

void setScale(ModelConfig &config, double columns) {
  for (LayerConfig &layer : config.layers)
    layer.attentionScale = 1 / std::sqrt(columns);
}

std::vector<bool> everyOther(size_t layers) {
  std::vector<bool> sliding(layers);
  for (size_t i = 0; i < layers; ++i)
    sliding[i] = i % 2 == 0;
  return sliding;
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 256000,
               .hidden = 2304,
               .intermediate = 9216,
               .layers = 26,
               .heads = 8,
               .keyValueHeads = 4,
               .headDim = 256,
               .context = 8192,
               .epsilon = 1e-6,
               .tied = true,
               .bos = 2,
               .eos = {1},
               .activation = "gelu_pytorch_tanh",
               .activationKey = "hidden_activation"});
  Activation activation = config.activation;
  describe(config);
  config.activation = activation;
  config.normOffset = 1;
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", false);
  setScale(config, keys.real("query_pre_attn_scalar", 256));
  config.attentionSoftcap = keys.optionalReal("attn_logit_softcapping", 50.0);
  config.finalSoftcap = keys.optionalReal("final_logit_softcapping", 30.0);
  for (auto [key, cap] : {std::pair("attn_logit_softcapping", config.attentionSoftcap),
                          {"final_logit_softcapping", config.finalSoftcap}})
    keys.check(cap.value_or(1) > 0, key, "a number greater than 0 or null");
  keys.refuse("use_bidirectional_attention", "false or null (causal attention)");
  std::optional<std::vector<bool>> sliding = keys.slidingLayers(config.layers.size());
  setWindows(config, sliding ? *sliding : everyOther(config.layers.size()),
             keys.optionalSize("sliding_window", 4096));
  config.ropes = {readRope(keys, config, {})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  describe(config);
  // llama.cpp tells the 27B model, whose query_pre_attn_scalar is no head's width, by its layers.
  setScale(config,
           config.layers.size() == 46 ? static_cast<double>(config.hidden) / config.heads : config.headDim);
  config.attentionSoftcap = keys.real("attn_logit_softcapping", 50.0);
  config.finalSoftcap = keys.real("final_logit_softcapping", 30.0);
  setWindows(config, everyOther(config.layers.size()), keys.size("attention.sliding_window", 4096));
  config.ropes = {readGgufRope(keys, config)};
}

constexpr std::string_view names[] = {"gemma2"};

} // namespace

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

const Architecture gemma2 = {"gemma2", names, names, readHuggingFace, readGguf, gemmaNames(), gemmaLayer};

} // namespace sinter
