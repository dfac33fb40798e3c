// SPDX-License-Identifier: Apache-2.0
// SmolLM3: Llama with every fourth layer free of positions (Yang et al. 2025, arXiv:2501.18795).
#include "frontend/architectures/Families.h"

namespace sinter {
namespace {

void readHuggingFace(ConfigKeys &keys, ModelConfig &config) {
  readDecoder(keys, config,
              {.vocabulary = 128256,
               .hidden = 2048,
               .intermediate = 11008,
               .layers = 36,
               .heads = 16,
               .keyValueHeads = 4,
               .context = 32768,
               .epsilon = 1e-6,
               .tied = true,
               .bos = 128000,
               .eos = {128001}});
  config.queryKeyValueBias = config.attentionOutputBias = keys.flag("attention_bias", false);
  config.mlpBias = keys.flag("mlp_bias", false);
  size_t count = config.layers.size();
  int64_t interval = keys.size("no_rope_layer_interval", 4);
  // A list of 1 for the layers that have positions and 0 for those that have not, in spite of its name.
  std::optional<std::vector<int64_t>> rotated = keys.layerIntegers("no_rope_layers", count);
  std::optional<std::vector<bool>> sliding = keys.slidingLayers(count);
  std::optional<int64_t> window = keys.optionalSize("sliding_window", std::nullopt);
  std::vector<bool> free(count);
  for (size_t i = 0; i < count; ++i) {
    free[i] = rotated ? (*rotated)[i] == 0 : (i + 1) % interval == 0;
    if (free[i])
      config.layers[i].rope = -1;
  }
  // transformers masks by layer_types whatever use_sliding_window says, which only fills a list that is not
  // there.
  if (keys.flag("use_sliding_window", false) || sliding)
    setWindows(config, sliding ? *sliding : free, window);
  config.ropes = {readRope(keys, config, {.theta = 2000000})};
}

void readGguf(GgufKeys &keys, ModelConfig &config) {
  readLlamaGguf(keys, config);
  for (size_t i = 0; i < config.layers.size(); ++i)
    if ((i + 1) % 4 == 0) // llama.cpp knows no other interval
      config.layers[i].rope = -1;
}

void writeHuggingFace(ConfigBuilder &config) {
  config.addRmsNormDecoder();
  config.json.key("no_rope_layer_interval").value(4).key("use_sliding_window").value(false);
  config.addFlag("attention_bias", "blk.0.attn_q.bias");
  config.addFlag("mlp_bias", "blk.0.ffn_gate.bias");
}

constexpr ParameterNames tensors[] = {permutedQuery, permutedKey};
constexpr std::string_view names[] = {"smollm3"};

} // namespace

constinit const Architecture smolLm3 = {
    "smollm3", "SmolLM3ForCausalLM", names,   names,       readHuggingFace,
    readGguf,  writeHuggingFace,     tensors, preNormLayer};

} // namespace sinter
