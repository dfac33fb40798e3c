// SPDX-License-Identifier: Apache-2.0
// Llama 1 to 3 (Touvron et al. 2023, arXiv:2302.13971) and what copies it: SmolLM2, TinyLlama.
#include "frontend/Blocks.h"
#include "frontend/ConfigKeys.h"
#include "frontend/GgufKeys.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 32000,
               .hidden = 4096,
               .intermediate = 11008,
               .layers = 32,
               .heads = 32,
               .context = 2048,
               .epsilon = 1e-6,
               .bos = 1,
               .eos = {2}});
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", false);
  config.mlpBias = keys.flag("mlp_bias", false);
  config.ropes = {readRope(keys, config, {})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readGgufDecoder(keys, config);
  config.ropes = {readGgufRope(keys, config)};
}

mlir::Value layer(Blocks &blocks, int64_t number, mlir::Value x) { return blocks.preNormLayer(number, x); }

// llama.cpp turns neighbouring columns instead of halves, and its converter permutes Q and K to match.
constexpr ParameterNames tensors[] = {
    {"layers.*.attention.query",
     {"model.layers.*.self_attn.q_proj.weight"},
     {.tensor = "blk.*.attn_q.weight", .order = lm::RowOrder::interleaved_halves}},
    {"layers.*.attention.key",
     {"model.layers.*.self_attn.k_proj.weight"},
     {.tensor = "blk.*.attn_k.weight", .order = lm::RowOrder::interleaved_halves}},
};
constexpr std::string_view names[] = {"llama"};

} // namespace

constinit const Architecture llama = {"llama", names, names, readHuggingFace, readGguf, tensors, layer};

} // namespace sinter
