// SPDX-License-Identifier: Apache-2.0
// Qwen3 (Yang et al. 2025, arXiv:2505.09388), dense and with experts: norms on the heads of Q and K, no
// biases.
#include "frontend/architectures/Families.h"

#include <algorithm>

namespace sinter {
namespace {

void readAttention(ConfigKeys &keys, ModelConfig &config) {
  config.queryKeyNorm = QueryKeyNorm::Head;
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", false);
  config.ropes = {readRope(keys, config, {})};
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  DecoderDefaults defaults = qwenDefaults();
  defaults.headDim = 128;
  readDecoder(keys, config, defaults);
  readAttention(keys, config);
  readQwenWindows(keys, config);
}

void readHuggingFaceMoe(ConfigKeys &keys, ModelConfig &config) {
  DecoderDefaults defaults = qwenDefaults();
  defaults.hidden = 2048;
  defaults.intermediate = 6144;
  defaults.layers = 24;
  defaults.keyValueHeads = 4;
  readDecoder(keys, config, defaults);
  readAttention(keys, config);
  std::optional<int64_t> window = keys.optionalSize("sliding_window", 4096);
  if (keys.flag("use_sliding_window", false))
    setWindows(config, std::vector<bool>(config.layers.size(), true), window);
  config.experts = keys.size("num_experts|num_local_experts", 128, maxExperts);
  config.expertsPerToken = keys.size("num_experts_per_tok", 8);
  keys.check(config.expertsPerToken <= config.experts, "num_experts_per_tok",
             fmt::format("at most the {} experts", config.experts));
  config.expertIntermediate = keys.size("moe_intermediate_size", 768, maxWidth);
  config.normaliseExperts = keys.flag("norm_topk_prob", false);
  int64_t step = keys.size("decoder_sparse_step", 1);
  std::vector<int64_t> dense = keys.ids("mlp_only_layers", {});
  for (size_t i = 0; i < config.layers.size(); ++i)
    config.layers[i].experts =
        (i + 1) % step == 0 && std::find(dense.begin(), dense.end(), static_cast<int64_t>(i)) == dense.end();
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readLlamaGguf(keys, config);
  config.queryKeyNorm = QueryKeyNorm::Head;
}

void readGgufMoe(GgufKeys &keys, ModelConfig &config) {
  readGguf(keys, config);
  readGgufExperts(keys, config);
  config.expertIntermediate = keys.size("expert_feed_forward_length", config.intermediate, maxWidth);
}

void writeHuggingFace(ConfigBuilder &config) {
  config.addRmsNormDecoder();
  config.addHeadSize();
  config.addFlag("attention_bias", "blk.0.attn_q.bias");
  config.json.key("use_sliding_window").value(false);
}

void writeHuggingFaceMoe(ConfigBuilder &config) {
  writeHuggingFace(config);
  config.copyInteger("num_experts", "expert_count");
  config.copyInteger("num_experts_per_tok", "expert_used_count");
  config.copyInteger("moe_intermediate_size", "expert_feed_forward_length");
  config.json.key("norm_topk_prob").value(true).key("decoder_sparse_step").value(1);
  config.json.key("mlp_only_layers").beginArray().endArray();
}

constexpr ParameterNames moeTensors[] = {
    {"layers.*.experts.router", {"model.layers.*.mlp.gate.weight"}, {"blk.*.ffn_gate_inp.weight"}},
    {"layers.*.experts.gate",
     {.tensor = "model.layers.*.mlp.experts.#.gate_proj.weight|model.layers.*.mlp.experts.gate_up_proj",
      .part = Part::Gate},
     {"blk.*.ffn_gate_exps.weight"}},
    {"layers.*.experts.up",
     {.tensor = "model.layers.*.mlp.experts.#.up_proj.weight|model.layers.*.mlp.experts.gate_up_proj",
      .part = Part::Up},
     {"blk.*.ffn_up_exps.weight"}},
    {"layers.*.experts.down",
     {"model.layers.*.mlp.experts.#.down_proj.weight|model.layers.*.mlp.experts.down_proj"},
     {"blk.*.ffn_down_exps.weight"}},
};
constexpr std::string_view names[] = {"qwen3"};
constexpr std::string_view moeTypes[] = {"qwen3_moe"};
constexpr std::string_view moeNames[] = {"qwen3moe"};

} // namespace

constinit const Architecture qwen3 = {"qwen3",  "Qwen3ForCausalLM", names, names,       readHuggingFace,
                                      readGguf, writeHuggingFace,   {},    preNormLayer};
constinit const Architecture qwen3Moe = {
    "qwen3_moe", "Qwen3MoeForCausalLM", moeTypes,   moeNames,    readHuggingFaceMoe,
    readGgufMoe, writeHuggingFaceMoe,   moeTensors, preNormLayer};

} // namespace sinter
