// SPDX-License-Identifier: Apache-2.0
// StarCoder2 (Lozhkov et al. 2024, arXiv:2402.19173): Llama's attention with layer norms, biases everywhere
// and a plain MLP.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 49152,
               .hidden = 3072,
               .intermediate = 12288,
               .layers = 30,
               .heads = 24,
               .keyValueHeads = 2,
               .context = 4096,
               .epsilon = 1e-5,
               .tied = true,
               .bos = 50256,
               .eos = {50256},
               .activation = "gelu_pytorch_tanh",
               .epsilonKey = "norm_epsilon"});
  config.norm = NormKind::Layer;
  config.normBias = true;
  config.queryKeyValueBias = config.attentionOutputBias = config.mlpBias = keys.flag("use_bias", true);
  config.gatedMlp = false;
  setWindows(config, std::vector<bool>(config.layers.size(), true),
             keys.optionalSize("sliding_window", std::nullopt));
  config.ropes = {readRope(keys, config, {})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readLlamaGguf(keys, config);
  config.gatedMlp = false;
  config.activation = Activation::GeluTanh;
}

void writeHuggingFace(ConfigBuilder &config) {
  config.addDecoder();
  config.copyReal("norm_epsilon", "attention.layer_norm_epsilon");
  config.json.key("hidden_act").value("gelu_pytorch_tanh");
  config.addRope();
  config.json.key("use_bias").value(config.hasTensor("blk.0.attn_q.bias"));
  int64_t window = config.integer("attention.sliding_window", 0);
  config.json.key("sliding_window");
  window > 0 ? config.json.value(window) : config.json.null();
}

constexpr ParameterNames tensors[] = {
    {"layers.*.mlp.up", {"model.layers.*.mlp.c_fc.weight"}, {"blk.*.ffn_up.weight"}},
    {"layers.*.mlp.down", {"model.layers.*.mlp.c_proj.weight"}, {"blk.*.ffn_down.weight"}},
};
constexpr std::string_view names[] = {"starcoder2"};

} // namespace

constinit const Architecture starCoder2 = {
    "starcoder2", "Starcoder2ForCausalLM", names,   names,       readHuggingFace,
    readGguf,     writeHuggingFace,        tensors, preNormLayer};

} // namespace sinter
