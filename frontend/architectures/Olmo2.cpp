// SPDX-License-Identifier: Apache-2.0
// OLMo 2 (arXiv:2501.00656): norms stand behind attention and MLP, and over the whole rows of Q and K.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 50304,
               .hidden = 4096,
               .intermediate = 11008,
               .layers = 32,
               .heads = 32,
               .context = 2048,
               .epsilon = 1e-5,
               .eos = {50279}});
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", false);
  config.queryKeyNorm = QueryKeyNorm::Row;
  config.ropes = {readRope(keys, config, {})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readLlamaGguf(keys, config);
  config.queryKeyNorm = QueryKeyNorm::Row;
  keys.check(!keys.has("attention.sliding_window"), "attention.sliding_window",
             "no window (OLMo 3 is not supported)", "one");
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) {
  x = blocks.add(x, blocks.norm(blocks.attention(x, number), number, "attention_post_norm"));
  return blocks.add(x, blocks.norm(blocks.mlp(x, number), number, "mlp_post_norm"));
}

void writeHuggingFace(ConfigBuilder &config) {
  config.addRmsNormDecoder();
  config.addFlag("attention_bias", "blk.0.attn_q.bias");
}

constexpr ParameterNames tensors[] = {
    {"layers.*.attention_post_norm",
     {"model.layers.*.post_attention_layernorm.weight"},
     {"blk.*.post_attention_norm.weight"}},
    {"layers.*.mlp_post_norm",
     {"model.layers.*.post_feedforward_layernorm.weight"},
     {"blk.*.post_ffw_norm.weight"}},
};
constexpr std::string_view names[] = {"olmo2"};

} // namespace

constinit const Architecture olmo2 = {"olmo2",  "Olmo2ForCausalLM", names,   names, readHuggingFace,
                                      readGguf, writeHuggingFace,   tensors, layer};

} // namespace sinter
