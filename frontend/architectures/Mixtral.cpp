// SPDX-License-Identifier: Apache-2.0
// Mixtral (Jiang et al. 2024, arXiv:2401.04088): Mistral with a mixture of experts in every layer.
#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/GgufKeys.h"

namespace sinter {
namespace {

void useExperts(ModelConfig &config) {
  config.normaliseExperts = true;
  config.expertIntermediate = config.intermediate;
  for (LayerConfig &layer : config.layers)
    layer.experts = true;
}

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 32000,
               .hidden = 4096,
               .intermediate = 14336,
               .layers = 32,
               .heads = 32,
               .keyValueHeads = 8,
               .context = 4096 * 32,
               .epsilon = 1e-5,
               .bos = 1,
               .eos = {2}});
  setWindows(config, std::vector<bool>(config.layers.size(), true),
             keys.optionalSize("sliding_window", std::nullopt));
  config.ropes = {readRope(keys, config, {.theta = 1000000})};
  config.experts = keys.size("num_local_experts|num_experts", 8);
  config.expertsPerToken = keys.size("num_experts_per_tok", 2);
  keys.check(config.expertsPerToken <= config.experts, "num_experts_per_tok",
             fmt::format("at most the {} experts", config.experts));
  useExperts(config);
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  llama.readGguf(keys, config);
  config.experts = keys.size("expert_count");
  config.expertsPerToken = keys.size("expert_used_count");
  keys.check(config.expertsPerToken <= config.experts, "expert_used_count",
             fmt::format("at most the {} experts", config.experts), std::to_string(config.expertsPerToken));
  useExperts(config);
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) { return blocks.preNormLayer(number, x); }

constexpr ParameterNames tensors[] = {
    {"layers.*.attention.query",
     {"model.layers.*.self_attn.q_proj.weight"},
     {.tensor = "blk.*.attn_q.weight", .order = lm::RowOrder::interleaved_halves}},
    {"layers.*.attention.key",
     {"model.layers.*.self_attn.k_proj.weight"},
     {.tensor = "blk.*.attn_k.weight", .order = lm::RowOrder::interleaved_halves}},
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

constinit const Architecture mixtral = {"mixtral", names, {}, readHuggingFace, readGguf, tensors, layer};

} // namespace sinter
