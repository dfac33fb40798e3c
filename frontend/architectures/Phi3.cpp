// SPDX-License-Identifier: Apache-2.0
// Phi-3 and Phi-4 (arXiv:2404.14219): Llama with Q, K and V in one matrix, gate and up in another, and
// longrope.
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 32064,
               .hidden = 3072,
               .intermediate = 8192,
               .layers = 32,
               .heads = 32,
               .context = 4096,
               .epsilon = 1e-5,
               .bos = 1,
               .eos = {32000}});
  config.fusedQueryKeyValue = true;
  setWindows(config, std::vector<bool>(config.layers.size(), true),
             keys.optionalSize("sliding_window", std::nullopt));
  config.ropes = {readRope(
      keys, config,
      {.partial = 1, .originalContext = 4096, .typeNames = {{"su", "longrope"}, {"yarn", "longrope"}}})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readLlamaGguf(keys, config);
  setWindows(config, std::vector<bool>(config.layers.size(), true),
             keys.optionalSize("attention.sliding_window"));
}

void writeHuggingFace(ConfigBuilder &config) {
  config.addRmsNormDecoder();
  config.addPartialRotary("partial_rotary_factor");
  if (int64_t window = config.integer("attention.sliding_window", 0); window > 0)
    config.json.key("sliding_window").value(window);
}

constexpr ParameterNames tensors[] = {
    {"layers.*.mlp.gate",
     {.tensor = "model.layers.*.mlp.gate_up_proj.weight", .part = Part::Gate},
     {.tensor = "blk.*.ffn_up.weight", .part = Part::Gate}},
    {"layers.*.mlp.up",
     {.tensor = "model.layers.*.mlp.gate_up_proj.weight", .part = Part::Up},
     {.tensor = "blk.*.ffn_up.weight", .part = Part::Up}},
};
constexpr std::string_view names[] = {"phi3"};

} // namespace

constinit const Architecture phi3 = {"phi3",   "Phi3ForCausalLM", names,   names,       readHuggingFace,
                                     readGguf, writeHuggingFace,  tensors, preNormLayer};

} // namespace sinter
