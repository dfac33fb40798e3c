// SPDX-License-Identifier: Apache-2.0
// Qwen3 (Yang et al. 2025, arXiv:2505.09388), dense and with experts: norms on the heads of Q and K, no
// biases.
#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/GgufKeys.h"

#include <algorithm>

namespace sinter {
namespace {

void readAttention(ConfigKeys &keys, ModelConfig &config) {
  config.queryKeyNorm = QueryKeyNorm::Head;
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", false);
  config.ropes = {readRope(keys, config, {})};
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 151936,
               .hidden = 4096,
               .intermediate = 22016,
               .layers = 32,
               .heads = 32,
               .keyValueHeads = 32,
               .headDim = 128,
               .context = 32768,
               .epsilon = 1e-6});
  readAttention(keys, config);
  readQwenWindows(keys, config);
}

void readHuggingFaceMoe(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 151936,
               .hidden = 2048,
               .intermediate = 6144,
               .layers = 24,
               .heads = 32,
               .keyValueHeads = 4,
               .context = 32768,
               .epsilon = 1e-6});
  readAttention(keys, config);
  std::optional<int64_t> window = keys.optionalSize("sliding_window", 4096);
  if (keys.flag("use_sliding_window", false))
    setWindows(config, std::vector<bool>(config.layers.size(), true), window);
  config.experts = keys.size("num_experts|num_local_experts", 128);
  config.expertsPerToken = keys.size("num_experts_per_tok", 8);
  keys.check(config.expertsPerToken <= config.experts, "num_experts_per_tok",
             fmt::format("at most the {} experts", config.experts));
  config.expertIntermediate = keys.size("moe_intermediate_size", 768);
  config.normaliseExperts = keys.flag("norm_topk_prob", false);
  int64_t step = keys.size("decoder_sparse_step", 1);
  std::vector<int64_t> dense = keys.ids("mlp_only_layers", {});
  for (size_t i = 0; i < config.layers.size(); ++i)
    config.layers[i].experts =
        (i + 1) % step == 0 && std::find(dense.begin(), dense.end(), static_cast<int64_t>(i)) == dense.end();
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  config.queryKeyNorm = QueryKeyNorm::Head;
  config.ropes = {readGgufRope(keys, config)};
}

void readGgufMoe(GgufKeys &keys, ModelConfig &config) {
  readGguf(keys, config);
  config.experts = keys.size("expert_count");
  config.expertsPerToken = keys.size("expert_used_count");
  keys.check(config.expertsPerToken <= config.experts, "expert_used_count",
             fmt::format("at most the {} experts", config.experts), std::to_string(config.expertsPerToken));
  config.expertIntermediate = keys.size("expert_feed_forward_length", config.intermediate);
  config.normaliseExperts = true; // llama.cpp knows no other way
  for (LayerConfig &layer : config.layers)
    layer.experts = true;
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) { return blocks.preNormLayer(number, x); }

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

constinit const Architecture qwen3 = {"qwen3", names, names, readHuggingFace, readGguf, {}, layer};
constinit const Architecture qwen3Moe = {"qwen3_moe", moeTypes,   moeNames, readHuggingFaceMoe,
                                         readGgufMoe, moeTensors, layer};

} // namespace sinter
