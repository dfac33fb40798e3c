// SPDX-License-Identifier: Apache-2.0
// Mixtral (Jiang et al. 2024, arXiv:2401.04088): Mistral with a mixture of experts in every layer.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readMistral(keys, config, {.epsilon = 1e-5, .theta = 1000000, .window = std::nullopt});
  config.experts = keys.size("num_local_experts|num_experts", 8, maxExperts);
  config.expertsPerToken = keys.size("num_experts_per_tok", 2);
  keys.check(config.expertsPerToken <= config.experts, "num_experts_per_tok",
             fmt::format("at most the {} experts", config.experts));
  config.expertIntermediate = config.intermediate;
  config.normaliseExperts = true;
  for (LayerConfig &layer : config.layers)
    layer.experts = true;
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readLlamaGguf(keys, config);
  readGgufExperts(keys, config);
  config.expertIntermediate = config.intermediate;
}

void writeHuggingFace(ConfigBuilder &config) {
  config.addRmsNormDecoder();
  config.addHeadSize();
  config.copyInteger("num_local_experts", "expert_count");
  config.copyInteger("num_experts_per_tok", "expert_used_count");
  config.json.key("sliding_window").null();
}

constexpr ParameterNames tensors[] = {
    permutedQuery,
    permutedKey,
    {"layers.*.experts.router",
     {"model.layers.*.block_sparse_moe.gate.weight|model.layers.*.mlp.gate.weight"},
     {"blk.*.ffn_gate_inp.weight"}},
    // A tensor an expert, or all stacked with gate and up in one (transformers 5 in memory).
    {"layers.*.experts.gate",
     {.tensor = "model.layers.*.block_sparse_moe.experts.#.w1.weight|model.layers.*.mlp.experts.gate_up_proj",
      .part = Part::Gate},
     {"blk.*.ffn_gate_exps.weight|blk.*.ffn_gate.#.weight"}},
    {"layers.*.experts.up",
     {.tensor = "model.layers.*.block_sparse_moe.experts.#.w3.weight|model.layers.*.mlp.experts.gate_up_proj",
      .part = Part::Up},
     {"blk.*.ffn_up_exps.weight|blk.*.ffn_up.#.weight"}},
    {"layers.*.experts.down",
     {"model.layers.*.block_sparse_moe.experts.#.w2.weight|model.layers.*.mlp.experts.down_proj"},
     {"blk.*.ffn_down_exps.weight|blk.*.ffn_down.#.weight"}},
};
constexpr std::string_view names[] = {"mixtral"};

} // namespace

void readGgufExperts(GgufKeys &keys, ModelConfig &config) {
  config.experts = keys.size("expert_count", std::nullopt, maxExperts);
  config.expertsPerToken = keys.size("expert_used_count");
  keys.check(config.expertsPerToken <= config.experts, "expert_used_count",
             fmt::format("at most the {} experts", config.experts), std::to_string(config.expertsPerToken));
  config.normaliseExperts = true; // llama.cpp knows no other way
  for (LayerConfig &layer : config.layers)
    layer.experts = true;
}

constinit const Architecture mixtral = {
    "mixtral", "MixtralForCausalLM", names,   {},          readHuggingFace,
    readGguf,  writeHuggingFace,     tensors, preNormLayer};

} // namespace sinter
